// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Instruction classes that BCC's own bpf.h refers to (include/uapi/linux/bpf_common.h).
#define BPF_CLASS(code) ((code) & 7)
#define BPF_LD 0
#define BPF_LDX 1
#define BPF_ST 2
#define BPF_STX 3
#define BPF_ALU 4
#define BPF_JMP 5
#define BPF_W 0
#define BPF_H 8
#define BPF_B 0x10
