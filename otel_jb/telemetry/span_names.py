# SPDX-License-Identifier: Apache-2.0
"""Names in the spans of slow calls that are needed where there is no SDK, too."""

PACKET_EVENT = "jitterbuffer.packet.put"  #: the event of a span that stands for a packet
#: Attributes of a span: seconds that the call's thread ran, waited for a processor, and slept; and that this is not known, because it may
#: have run something else meanwhile.
SHARE = ("jitterbuffer.call.cpu_time", "jitterbuffer.call.run_delay", "jitterbuffer.call.blocked_time")
MAY_YIELD = "jitterbuffer.call.may_yield"
