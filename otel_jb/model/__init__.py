"""The frozen records that travel between the rooms, names, and errors. Imports nothing else of the agent."""
