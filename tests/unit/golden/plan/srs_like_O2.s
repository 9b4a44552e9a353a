	.file	"srs_like.cc"
	.text
	.section	.text._ZN15SrsLiveConsumerD2Ev,"axG",@progbits,_ZN15SrsLiveConsumerD5Ev,comdat
	.align 2
	.p2align 4
	.weak	_ZN15SrsLiveConsumerD2Ev
	.type	_ZN15SrsLiveConsumerD2Ev, @function
_ZN15SrsLiveConsumerD2Ev:
.LFB2193:
	.cfi_startproc
	ret
	.cfi_endproc
.LFE2193:
	.size	_ZN15SrsLiveConsumerD2Ev, .-_ZN15SrsLiveConsumerD2Ev
	.weak	_ZN15SrsLiveConsumerD1Ev
	.set	_ZN15SrsLiveConsumerD1Ev,_ZN15SrsLiveConsumerD2Ev
	.section	.text._ZN15SrsLiveConsumerD0Ev,"axG",@progbits,_ZN15SrsLiveConsumerD5Ev,comdat
	.align 2
	.p2align 4
	.weak	_ZN15SrsLiveConsumerD0Ev
	.type	_ZN15SrsLiveConsumerD0Ev, @function
_ZN15SrsLiveConsumerD0Ev:
.LFB2195:
	.cfi_startproc
	movl	$24, %esi
	jmp	_ZdlPvm@PLT
	.cfi_endproc
.LFE2195:
	.size	_ZN15SrsLiveConsumerD0Ev, .-_ZN15SrsLiveConsumerD0Ev
	.section	.rodata.str1.1,"aMS",@progbits,1
.LC0:
	.string	"no packet"
	.section	.text.unlikely,"ax",@progbits
	.align 2
.LCOLDB1:
	.text
.LHOTB1:
	.align 2
	.p2align 4
	.globl	_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket
	.type	_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket, @function
_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket:
.LFB2197:
	.cfi_startproc
	.cfi_personality 0x9b,DW.ref.__gxx_personality_v0
	.cfi_lsda 0x1b,.LLSDA2197
	testq	%rsi, %rsi
	je	.L8
	movl	16(%rdi), %eax
	addl	$1, %eax
	movl	%eax, 16(%rdi)
	ret
	.globl	__gxx_personality_v0
	.section	.gcc_except_table,"a",@progbits
.LLSDA2197:
	.byte	0xff
	.byte	0xff
	.byte	0x1
	.uleb128 .LLSDACSE2197-.LLSDACSB2197
.LLSDACSB2197:
.LLSDACSE2197:
	.text
	.cfi_endproc
	.section	.text.unlikely
	.cfi_startproc
	.cfi_personality 0x9b,DW.ref.__gxx_personality_v0
	.cfi_lsda 0x1b,.LLSDAC2197
	.type	_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket.cold, @function
_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket.cold:
.LFSB2197:
.L8:
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movl	$16, %edi
	pushq	%rbx
	.cfi_def_cfa_offset 24
	.cfi_offset 3, -24
	pushq	%rax
	.cfi_def_cfa_offset 32
	call	__cxa_allocate_exception@PLT
	leaq	.LC0(%rip), %rsi
	movq	%rax, %rdi
	movq	%rax, %rbx
.LEHB0:
	call	_ZNSt16invalid_argumentC1EPKc@PLT
.LEHE0:
	movq	_ZNSt16invalid_argumentD1Ev@GOTPCREL(%rip), %rdx
	movq	_ZTISt16invalid_argument@GOTPCREL(%rip), %rsi
	movq	%rbx, %rdi
.LEHB1:
	call	__cxa_throw@PLT
.L7:
	movq	%rax, %rbp
	movq	%rbx, %rdi
	call	__cxa_free_exception@PLT
	movq	%rbp, %rdi
	call	_Unwind_Resume@PLT
.LEHE1:
	.cfi_endproc
.LFE2197:
	.section	.gcc_except_table
.LLSDAC2197:
	.byte	0xff
	.byte	0xff
	.byte	0x1
	.uleb128 .LLSDACSEC2197-.LLSDACSBC2197
.LLSDACSBC2197:
	.uleb128 .LEHB0-.LCOLDB1
	.uleb128 .LEHE0-.LEHB0
	.uleb128 .L7-.LCOLDB1
	.uleb128 0
	.uleb128 .LEHB1-.LCOLDB1
	.uleb128 .LEHE1-.LEHB1
	.uleb128 0
	.uleb128 0
.LLSDACSEC2197:
	.section	.text.unlikely
	.text
	.size	_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket, .-_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket
	.section	.text.unlikely
	.size	_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket.cold, .-_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket.cold
.LCOLDE1:
	.text
.LHOTE1:
	.align 2
	.p2align 4
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E.isra.0, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E.isra.0:
.LFB2881:
	.cfi_startproc
	pushq	%r15
	.cfi_def_cfa_offset 16
	.cfi_offset 15, -16
	pushq	%r14
	.cfi_def_cfa_offset 24
	.cfi_offset 14, -24
	pushq	%r13
	.cfi_def_cfa_offset 32
	.cfi_offset 13, -32
	pushq	%r12
	.cfi_def_cfa_offset 40
	.cfi_offset 12, -40
	pushq	%rbp
	.cfi_def_cfa_offset 48
	.cfi_offset 6, -48
	pushq	%rbx
	.cfi_def_cfa_offset 56
	.cfi_offset 3, -56
	subq	$40, %rsp
	.cfi_def_cfa_offset 96
	movq	%rdi, 16(%rsp)
	testq	%rdi, %rdi
	je	.L12
.L30:
	movq	16(%rsp), %rax
	movq	24(%rax), %rax
	movq	%rax, 8(%rsp)
	testq	%rax, %rax
	je	.L14
.L29:
	movq	8(%rsp), %rax
	movq	24(%rax), %r14
	testq	%r14, %r14
	je	.L15
.L28:
	movq	24(%r14), %r15
	testq	%r15, %r15
	je	.L16
.L27:
	movq	24(%r15), %rbx
	testq	%rbx, %rbx
	je	.L17
.L26:
	movq	24(%rbx), %r12
	testq	%r12, %r12
	je	.L18
.L25:
	movq	24(%r12), %rbp
	testq	%rbp, %rbp
	je	.L19
.L24:
	movq	24(%rbp), %rdx
	testq	%rdx, %rdx
	je	.L20
.L23:
	movq	24(%rdx), %r13
	testq	%r13, %r13
	je	.L21
.L22:
	movq	24(%r13), %rdi
	movq	%rdx, 24(%rsp)
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E.isra.0
	movq	%r13, %rdi
	movq	16(%r13), %r13
	movl	$48, %esi
	call	_ZdlPvm@PLT
	movq	24(%rsp), %rdx
	testq	%r13, %r13
	jne	.L22
.L21:
	movq	16(%rdx), %r13
	movl	$48, %esi
	movq	%rdx, %rdi
	call	_ZdlPvm@PLT
	testq	%r13, %r13
	je	.L20
	movq	%r13, %rdx
	jmp	.L23
.L18:
	movq	16(%rbx), %rbp
	movl	$48, %esi
	movq	%rbx, %rdi
	call	_ZdlPvm@PLT
	testq	%rbp, %rbp
	je	.L17
	movq	%rbp, %rbx
	jmp	.L26
	.p2align 4,,10
	.p2align 3
.L19:
	movq	16(%r12), %rbp
	movl	$48, %esi
	movq	%r12, %rdi
	call	_ZdlPvm@PLT
	testq	%rbp, %rbp
	je	.L18
	movq	%rbp, %r12
	jmp	.L25
.L17:
	movq	16(%r15), %rbx
	movl	$48, %esi
	movq	%r15, %rdi
	call	_ZdlPvm@PLT
	testq	%rbx, %rbx
	je	.L16
	movq	%rbx, %r15
	jmp	.L27
	.p2align 4,,10
	.p2align 3
.L20:
	movq	16(%rbp), %rdx
	movl	$48, %esi
	movq	%rbp, %rdi
	movq	%rdx, 24(%rsp)
	call	_ZdlPvm@PLT
	movq	24(%rsp), %rdx
	testq	%rdx, %rdx
	je	.L19
	movq	%rdx, %rbp
	jmp	.L24
.L16:
	movq	16(%r14), %rbx
	movl	$48, %esi
	movq	%r14, %rdi
	call	_ZdlPvm@PLT
	testq	%rbx, %rbx
	je	.L15
	movq	%rbx, %r14
	jmp	.L28
.L15:
	movq	8(%rsp), %rdi
	movl	$48, %esi
	movq	16(%rdi), %rbx
	call	_ZdlPvm@PLT
	testq	%rbx, %rbx
	je	.L14
	movq	%rbx, 8(%rsp)
	jmp	.L29
.L14:
	movq	16(%rsp), %rdi
	movl	$48, %esi
	movq	16(%rdi), %rbx
	call	_ZdlPvm@PLT
	testq	%rbx, %rbx
	je	.L12
	movq	%rbx, 16(%rsp)
	jmp	.L30
.L12:
	addq	$40, %rsp
	.cfi_def_cfa_offset 56
	popq	%rbx
	.cfi_def_cfa_offset 48
	popq	%rbp
	.cfi_def_cfa_offset 40
	popq	%r12
	.cfi_def_cfa_offset 32
	popq	%r13
	.cfi_def_cfa_offset 24
	popq	%r14
	.cfi_def_cfa_offset 16
	popq	%r15
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
.LFE2881:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E.isra.0, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E.isra.0
	.align 2
	.p2align 4
	.globl	_ZN12SrsRtpPacket6decodeEP9SrsBuffer
	.type	_ZN12SrsRtpPacket6decodeEP9SrsBuffer, @function
_ZN12SrsRtpPacket6decodeEP9SrsBuffer:
.LFB2181:
	.cfi_startproc
	movl	12(%rsi), %eax
	movq	%rsi, %rcx
	leal	12(%rax), %edx
	cmpl	8(%rsi), %edx
	jg	.L71
	movq	(%rsi), %r8
	leal	1(%rax), %edx
	movl	%edx, 12(%rsi)
	movslq	%eax, %rsi
	movzbl	(%r8,%rsi), %esi
	andl	$-64, %esi
	cmpb	$-128, %sil
	jne	.L72
	leal	2(%rax), %esi
	movslq	%edx, %rdx
	addl	$3, %eax
	movl	%esi, 12(%rcx)
	movzbl	(%r8,%rdx), %edx
	movslq	%esi, %rsi
	sall	$8, %edx
	movw	%dx, (%rdi)
	movl	%eax, 12(%rcx)
	movzbl	(%r8,%rsi), %eax
	movl	$4, %esi
	movl	$0, 4(%rdi)
	orl	%edx, %eax
	movw	%ax, (%rdi)
	xorl	%eax, %eax
.L70:
	movslq	12(%rcx), %rdx
	sall	$8, %eax
	leal	1(%rdx), %r9d
	movl	%r9d, 12(%rcx)
	movzbl	(%r8,%rdx), %edx
	orl	%edx, %eax
	movl	%eax, 4(%rdi)
	subl	$1, %esi
	jne	.L70
	movl	8(%rcx), %eax
	movl	%eax, 8(%rdi)
	xorl	%eax, %eax
	ret
.L72:
	movl	$-2, %eax
	ret
.L71:
	movl	$-1, %eax
	ret
	.cfi_endproc
.LFE2181:
	.size	_ZN12SrsRtpPacket6decodeEP9SrsBuffer, .-_ZN12SrsRtpPacket6decodeEP9SrsBuffer
	.align 2
	.p2align 4
	.globl	_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket
	.type	_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket, @function
_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket:
.LFB2182:
	.cfi_startproc
	pushq	%r12
	.cfi_def_cfa_offset 16
	.cfi_offset 12, -16
	movl	%esi, %eax
	movq	%rdx, %r12
	xorl	%edx, %edx
	pushq	%rbp
	.cfi_def_cfa_offset 24
	.cfi_offset 6, -24
	movl	%esi, %ebp
	pushq	%rbx
	.cfi_def_cfa_offset 32
	.cfi_offset 3, -32
	movq	%rdi, %rbx
	divw	(%rdi)
	movq	8(%rdi), %rax
	movzwl	%dx, %edx
	movq	(%rax,%rdx,8), %rdi
	call	free@PLT
	movl	%ebp, %eax
	xorl	%edx, %edx
	divw	(%rbx)
	movq	8(%rbx), %rax
	movzwl	%dx, %edx
	movq	%r12, (%rax,%rdx,8)
	popq	%rbx
	.cfi_def_cfa_offset 24
	popq	%rbp
	.cfi_def_cfa_offset 16
	popq	%r12
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
.LFE2182:
	.size	_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket, .-_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket
	.align 2
	.p2align 4
	.globl	_ZN16SrsRtpRingBuffer2atEt
	.type	_ZN16SrsRtpRingBuffer2atEt, @function
_ZN16SrsRtpRingBuffer2atEt:
.LFB2183:
	.cfi_startproc
	movl	%esi, %eax
	xorl	%edx, %edx
	divw	(%rdi)
	movq	8(%rdi), %rax
	movzwl	%dx, %edx
	movq	(%rax,%rdx,8), %rax
	ret
	.cfi_endproc
.LFE2183:
	.size	_ZN16SrsRtpRingBuffer2atEt, .-_ZN16SrsRtpRingBuffer2atEt
	.align 2
	.p2align 4
	.globl	_ZN16SrsRtpRingBuffer6updateEtRtS0_
	.type	_ZN16SrsRtpRingBuffer6updateEtRtS0_, @function
_ZN16SrsRtpRingBuffer6updateEtRtS0_:
.LFB2184:
	.cfi_startproc
	cmpb	$0, 20(%rdi)
	je	.L81
	movzwl	18(%rdi), %eax
	cmpw	%ax, %si
	jns	.L82
	cmpw	16(%rdi), %si
	jns	.L79
	movw	%si, 16(%rdi)
	movl	$1, %eax
	ret
	.p2align 4,,10
	.p2align 3
.L82:
	movw	%ax, (%rdx)
	movw	%si, (%rcx)
	addl	$1, %esi
	movw	%si, 18(%rdi)
.L79:
	movl	$1, %eax
	ret
	.p2align 4,,10
	.p2align 3
.L81:
	movw	%si, 16(%rdi)
	addl	$1, %esi
	movl	$1, %eax
	movb	$1, 20(%rdi)
	movw	%si, 18(%rdi)
	ret
	.cfi_endproc
.LFE2184:
	.size	_ZN16SrsRtpRingBuffer6updateEtRtS0_, .-_ZN16SrsRtpRingBuffer6updateEtRtS0_
	.align 2
	.p2align 4
	.globl	_ZN21SrsRtpNackForReceiver4findEt
	.type	_ZN21SrsRtpNackForReceiver4findEt, @function
_ZN21SrsRtpNackForReceiver4findEt:
.LFB2186:
	.cfi_startproc
	movq	16(%rdi), %rax
	movl	%esi, %r8d
	leaq	8(%rdi), %r9
	testq	%rax, %rax
	je	.L83
	movq	%r9, %rdi
	jmp	.L86
	.p2align 4,,10
	.p2align 3
.L94:
	movq	%rcx, %rax
	testq	%rax, %rax
	je	.L93
.L86:
	movq	16(%rax), %rdx
	movq	24(%rax), %rcx
	cmpw	%r8w, 32(%rax)
	jb	.L94
	movq	%rax, %rdi
	movq	%rdx, %rax
	testq	%rax, %rax
	jne	.L86
.L93:
	cmpq	%rdi, %r9
	je	.L83
	cmpw	32(%rdi), %si
	jnb	.L95
.L83:
	ret
	.p2align 4,,10
	.p2align 3
.L95:
	leaq	40(%rdi), %rax
	ret
	.cfi_endproc
.LFE2186:
	.size	_ZN21SrsRtpNackForReceiver4findEt, .-_ZN21SrsRtpNackForReceiver4findEt
	.align 2
	.p2align 4
	.globl	_ZN21SrsRtpNackForReceiver16check_queue_sizeEv
	.type	_ZN21SrsRtpNackForReceiver16check_queue_sizeEv, @function
_ZN21SrsRtpNackForReceiver16check_queue_sizeEv:
.LFB2188:
	.cfi_startproc
	movl	48(%rdi), %eax
	cmpq	%rax, 40(%rdi)
	jnb	.L108
	ret
	.p2align 4,,10
	.p2align 3
.L108:
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rdi, %rbp
	pushq	%rbx
	.cfi_def_cfa_offset 24
	.cfi_offset 3, -24
	subq	$8, %rsp
	.cfi_def_cfa_offset 32
	movq	16(%rdi), %rbx
	testq	%rbx, %rbx
	je	.L98
.L99:
	movq	24(%rbx), %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E.isra.0
	movq	%rbx, %rdi
	movq	16(%rbx), %rbx
	movl	$48, %esi
	call	_ZdlPvm@PLT
	testq	%rbx, %rbx
	jne	.L99
.L98:
	leaq	8(%rbp), %rax
	movq	$0, 16(%rbp)
	movq	%rax, 24(%rbp)
	movq	%rax, 32(%rbp)
	movq	56(%rbp), %rax
	movq	$0, 40(%rbp)
	movl	$0, 16(%rax)
	addq	$8, %rsp
	.cfi_def_cfa_offset 24
	popq	%rbx
	.cfi_def_cfa_offset 16
	popq	%rbp
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
.LFE2188:
	.size	_ZN21SrsRtpNackForReceiver16check_queue_sizeEv, .-_ZN21SrsRtpNackForReceiver16check_queue_sizeEv
	.align 2
	.p2align 4
	.globl	_ZN18SrsRtpJitterBuffer3putEP12SrsRtpPacketi
	.type	_ZN18SrsRtpJitterBuffer3putEP12SrsRtpPacketi, @function
_ZN18SrsRtpJitterBuffer3putEP12SrsRtpPacketi:
.LFB2189:
	.cfi_startproc
	pushq	%r12
	.cfi_def_cfa_offset 16
	.cfi_offset 12, -16
	xorl	%ecx, %ecx
	pushq	%rbp
	.cfi_def_cfa_offset 24
	.cfi_offset 6, -24
	pushq	%rbx
	.cfi_def_cfa_offset 32
	.cfi_offset 3, -32
	subq	$96, %rsp
	.cfi_def_cfa_offset 128
	movq	%fs:40, %rax
	movq	%rax, 88(%rsp)
	xorl	%eax, %eax
	xorl	%eax, %eax
	movw	%cx, 14(%rsp)
	movw	%ax, 12(%rsp)
	cmpl	$11, %edx
	jle	.L115
	movq	%rsi, %rbx
	movzwl	(%rsi), %esi
	movl	%edx, %r12d
	leaq	14(%rsp), %rcx
	leaq	12(%rsp), %rdx
	movq	%rdi, %rbp
	call	_ZN16SrsRtpRingBuffer6updateEtRtS0_@PLT
	testb	%al, %al
	je	.L116
	movzwl	(%rbx), %esi
	movq	%rbx, %rdx
	movq	%rbp, %rdi
	call	_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket@PLT
	movl	$64, %ecx
	leaq	16(%rsp), %rdx
	leaq	12(%rbx), %rsi
	cmpl	%ecx, %r12d
	movl	%ecx, %eax
	movq	%rdx, %rdi
	cmovle	%r12d, %eax
	xorl	%edx, %edx
	movl	%eax, %ecx
	shrl	$3, %ecx
	rep movsq
	testb	$4, %al
	jne	.L127
	testb	$2, %al
	jne	.L128
.L112:
	testb	$1, %al
	jne	.L129
.L113:
	movsbq	16(%rsp), %rax
	addq	%rax, 48(%rbp)
	movzwl	12(%rsp), %eax
	cmpw	%ax, 14(%rsp)
	setne	%al
	movzbl	%al, %eax
.L109:
	movq	88(%rsp), %rdx
	subq	%fs:40, %rdx
	jne	.L130
	addq	$96, %rsp
	.cfi_remember_state
	.cfi_def_cfa_offset 32
	popq	%rbx
	.cfi_def_cfa_offset 24
	popq	%rbp
	.cfi_def_cfa_offset 16
	popq	%r12
	.cfi_def_cfa_offset 8
	ret
	.p2align 4,,10
	.p2align 3
.L129:
	.cfi_restore_state
	movzbl	(%rsi,%rdx), %eax
	movb	%al, (%rdi,%rdx)
	jmp	.L113
	.p2align 4,,10
	.p2align 3
.L128:
	movzwl	(%rsi,%rdx), %ecx
	movw	%cx, (%rdi,%rdx)
	addq	$2, %rdx
	testb	$1, %al
	je	.L113
	jmp	.L129
	.p2align 4,,10
	.p2align 3
.L127:
	movl	(%rsi), %edx
	movl	%edx, (%rdi)
	movl	$4, %edx
	testb	$2, %al
	je	.L112
	jmp	.L128
	.p2align 4,,10
	.p2align 3
.L115:
	movl	$-1, %eax
	jmp	.L109
	.p2align 4,,10
	.p2align 3
.L116:
	movl	$-2, %eax
	jmp	.L109
.L130:
	call	__stack_chk_fail@PLT
	.cfi_endproc
.LFE2189:
	.size	_ZN18SrsRtpJitterBuffer3putEP12SrsRtpPacketi, .-_ZN18SrsRtpJitterBuffer3putEP12SrsRtpPacketi
	.align 2
	.p2align 4
	.globl	_ZN18SrsRtpJitterBuffer8get_timeEj
	.type	_ZN18SrsRtpJitterBuffer8get_timeEj, @function
_ZN18SrsRtpJitterBuffer8get_timeEj:
.LFB2191:
	.cfi_startproc
	movabsq	$3279421168659475843, %rax
	movl	%esi, %edx
	imulq	$1000, %rdx, %rdx
	mulq	%rdx
	movq	48(%rdi), %rax
	shrq	$4, %rdx
	addq	%rdx, %rax
	ret
	.cfi_endproc
.LFE2191:
	.size	_ZN18SrsRtpJitterBuffer8get_timeEj, .-_ZN18SrsRtpJitterBuffer8get_timeEj
	.align 2
	.p2align 4
	.globl	_ZN15SrsLiveConsumer4waitEii
	.type	_ZN15SrsLiveConsumer4waitEii, @function
_ZN15SrsLiveConsumer4waitEii:
.LFB2196:
	.cfi_startproc
	cmpl	%esi, 16(%rdi)
	jle	.L138
	ret
	.p2align 4,,10
	.p2align 3
.L138:
	addl	%edx, %esi
	pushq	%rbx
	.cfi_def_cfa_offset 16
	.cfi_offset 3, -16
	movq	%rdi, %rbx
	movl	%esi, 16(%rdi)
	movq	8(%rdi), %rdi
	call	st_cond_wait@PLT
	movl	$0, 16(%rbx)
	popq	%rbx
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
.LFE2196:
	.size	_ZN15SrsLiveConsumer4waitEii, .-_ZN15SrsLiveConsumer4waitEii
	.p2align 4
	.globl	_Z22SrsRtcConsumer_enqueueP15SrsLiveConsumerP12SrsRtpPacket
	.type	_Z22SrsRtcConsumer_enqueueP15SrsLiveConsumerP12SrsRtpPacket, @function
_Z22SrsRtcConsumer_enqueueP15SrsLiveConsumerP12SrsRtpPacket:
.LFB2198:
	.cfi_startproc
	movq	(%rdi), %rax
	jmp	*(%rax)
	.cfi_endproc
.LFE2198:
	.size	_Z22SrsRtcConsumer_enqueueP15SrsLiveConsumerP12SrsRtpPacket, .-_Z22SrsRtcConsumer_enqueueP15SrsLiveConsumerP12SrsRtpPacket
	.p2align 4
	.globl	_Z24SrsProtocol_recv_messageP15SrsLiveConsumer
	.type	_Z24SrsProtocol_recv_messageP15SrsLiveConsumer, @function
_Z24SrsProtocol_recv_messageP15SrsLiveConsumer:
.LFB2199:
	.cfi_startproc
	pushq	%rbx
	.cfi_def_cfa_offset 16
	.cfi_offset 3, -16
	movl	$2, %edx
	movq	%rdi, %rbx
	movl	$1, %esi
	call	_ZN15SrsLiveConsumer4waitEii@PLT
	movl	16(%rbx), %eax
	popq	%rbx
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
.LFE2199:
	.size	_Z24SrsProtocol_recv_messageP15SrsLiveConsumer, .-_Z24SrsProtocol_recv_messageP15SrsLiveConsumer
	.align 2
	.p2align 4
	.globl	_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket
	.type	_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket, @function
_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket:
.LFB2200:
	.cfi_startproc
	cmpb	$0, 8(%rdi)
	jne	.L148
	xorl	%eax, %eax
	ret
	.p2align 4,,10
	.p2align 3
.L148:
	subq	$8, %rsp
	.cfi_def_cfa_offset 16
	movq	(%rsi), %rdx
	movq	(%rdi), %rdi
	movzwl	(%rdx), %esi
	call	_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket@PLT
	xorl	%eax, %eax
	addq	$8, %rsp
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
.LFE2200:
	.size	_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket, .-_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket
	.align 2
	.p2align 4
	.globl	_ZN15SrsRtcRecvTrack6notifyEi
	.type	_ZN15SrsRtcRecvTrack6notifyEi, @function
_ZN15SrsRtcRecvTrack6notifyEi:
.LFB2201:
	.cfi_startproc
	movq	(%rdi), %rdi
	cmpl	$3, %esi
	jle	.L150
	addw	$1, 16(%rdi)
.L150:
	movzwl	%si, %esi
	xorl	%edx, %edx
	jmp	_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket@PLT
	.cfi_endproc
.LFE2201:
	.size	_ZN15SrsRtcRecvTrack6notifyEi, .-_ZN15SrsRtcRecvTrack6notifyEi
	.section	.rodata.str1.1
.LC2:
	.string	"short"
	.text
	.align 2
	.p2align 4
	.globl	_ZN18SrsRtcFrameBuilder16packet_key_frameEP12SrsRtpPacket
	.type	_ZN18SrsRtcFrameBuilder16packet_key_frameEP12SrsRtpPacket, @function
_ZN18SrsRtcFrameBuilder16packet_key_frameEP12SrsRtpPacket:
.LFB2202:
	.cfi_startproc
	subq	$24, %rsp
	.cfi_def_cfa_offset 32
	cmpl	$11, 8(%rsi)
	movq	%rsi, 8(%rsp)
	jg	.L152
	leaq	.LC2(%rip), %rsi
	xorl	%edi, %edi
	call	_ZN12SrsCplxError4wrapEPS_PKc@PLT
	addq	$24, %rsp
	.cfi_remember_state
	.cfi_def_cfa_offset 8
	ret
	.p2align 4,,10
	.p2align 3
.L152:
	.cfi_restore_state
	movq	(%rdi), %rdi
	leaq	8(%rsp), %rsi
	call	_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket@PLT
	addq	$24, %rsp
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
.LFE2202:
	.size	_ZN18SrsRtcFrameBuilder16packet_key_frameEP12SrsRtpPacket, .-_ZN18SrsRtcFrameBuilder16packet_key_frameEP12SrsRtpPacket
	.section	.rodata.str1.1
.LC3:
	.string	"nack"
	.text
	.align 2
	.p2align 4
	.globl	_ZN18SrsRtcFrameBuilder12packet_videoEP12SrsRtpPacket
	.type	_ZN18SrsRtcFrameBuilder12packet_videoEP12SrsRtpPacket, @function
_ZN18SrsRtcFrameBuilder12packet_videoEP12SrsRtpPacket:
.LFB2203:
	.cfi_startproc
	subq	$24, %rsp
	.cfi_def_cfa_offset 32
	movq	%rsi, 8(%rsp)
	testb	$1, (%rsi)
	je	.L156
	call	_ZN18SrsRtcFrameBuilder16packet_key_frameEP12SrsRtpPacket@PLT
	addq	$24, %rsp
	.cfi_remember_state
	.cfi_def_cfa_offset 8
	ret
	.p2align 4,,10
	.p2align 3
.L156:
	.cfi_restore_state
	movq	(%rdi), %rdi
	leaq	8(%rsp), %rsi
	call	_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket@PLT
	testq	%rax, %rax
	je	.L158
	leaq	.LC3(%rip), %rsi
	movq	%rax, %rdi
	call	_ZN12SrsCplxError4wrapEPS_PKc@PLT
	addq	$24, %rsp
	.cfi_remember_state
	.cfi_def_cfa_offset 8
	ret
	.p2align 4,,10
	.p2align 3
.L158:
	.cfi_restore_state
	movq	8(%rsp), %rdx
	addl	$1, 4(%rdx)
	addq	$24, %rsp
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
.LFE2203:
	.size	_ZN18SrsRtcFrameBuilder12packet_videoEP12SrsRtpPacket, .-_ZN18SrsRtcFrameBuilder12packet_videoEP12SrsRtpPacket
	.align 2
	.p2align 4
	.globl	_ZN15SrsRtcSendTrack12on_recv_nackERKSt6vectorItSaItEE
	.type	_ZN15SrsRtcSendTrack12on_recv_nackERKSt6vectorItSaItEE, @function
_ZN15SrsRtcSendTrack12on_recv_nackERKSt6vectorItSaItEE:
.LFB2204:
	.cfi_startproc
	movq	(%rsi), %rdx
	cmpq	%rdx, 8(%rsi)
	je	.L169
	pushq	%r12
	.cfi_def_cfa_offset 16
	.cfi_offset 12, -16
	movq	%rdi, %r12
	pushq	%rbp
	.cfi_def_cfa_offset 24
	.cfi_offset 6, -24
	movq	%rsi, %rbp
	pushq	%rbx
	.cfi_def_cfa_offset 32
	.cfi_offset 3, -32
	xorl	%ebx, %ebx
	jmp	.L163
	.p2align 4,,10
	.p2align 3
.L162:
	movq	0(%rbp), %rdx
	movq	8(%rbp), %rax
	addq	$1, %rbx
	subq	%rdx, %rax
	sarq	%rax
	cmpq	%rax, %rbx
	jnb	.L172
.L163:
	movzwl	(%rdx,%rbx,2), %esi
	movq	%r12, %rdi
	call	_ZN16SrsRtpRingBuffer2atEt@PLT
	testq	%rax, %rax
	jne	.L162
	addw	$1, 18(%r12)
	jmp	.L162
	.p2align 4,,10
	.p2align 3
.L172:
	popq	%rbx
	.cfi_def_cfa_offset 24
	xorl	%eax, %eax
	popq	%rbp
	.cfi_def_cfa_offset 16
	popq	%r12
	.cfi_def_cfa_offset 8
	ret
	.p2align 4,,10
	.p2align 3
.L169:
	.cfi_restore 3
	.cfi_restore 6
	.cfi_restore 12
	xorl	%eax, %eax
	ret
	.cfi_endproc
.LFE2204:
	.size	_ZN15SrsRtcSendTrack12on_recv_nackERKSt6vectorItSaItEE, .-_ZN15SrsRtcSendTrack12on_recv_nackERKSt6vectorItSaItEE
	.section	.rodata._ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_.str1.1,"aMS",@progbits,1
.LC4:
	.string	"vector::_M_realloc_insert"
	.section	.text._ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_,"axG",@progbits,_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_,comdat
	.align 2
	.p2align 4
	.weak	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_
	.type	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_, @function
_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_:
.LFB2598:
	.cfi_startproc
	pushq	%r15
	.cfi_def_cfa_offset 16
	.cfi_offset 15, -16
	movq	%rdx, %r15
	movabsq	$1152921504606846975, %rdx
	pushq	%r14
	.cfi_def_cfa_offset 24
	.cfi_offset 14, -24
	pushq	%r13
	.cfi_def_cfa_offset 32
	.cfi_offset 13, -32
	pushq	%r12
	.cfi_def_cfa_offset 40
	.cfi_offset 12, -40
	pushq	%rbp
	.cfi_def_cfa_offset 48
	.cfi_offset 6, -48
	pushq	%rbx
	.cfi_def_cfa_offset 56
	.cfi_offset 3, -56
	subq	$24, %rsp
	.cfi_def_cfa_offset 80
	movq	8(%rdi), %r12
	movq	(%rdi), %r13
	movq	%r12, %rax
	subq	%r13, %rax
	sarq	$3, %rax
	cmpq	%rdx, %rax
	je	.L195
	cmpq	%r12, %r13
	movl	$1, %edx
	movq	%rdi, %rbp
	movq	%rsi, %r14
	cmovne	%rax, %rdx
	xorl	%ecx, %ecx
	addq	%rdx, %rax
	movq	%rsi, %rdx
	setc	%cl
	subq	%r13, %rdx
	testq	%rcx, %rcx
	jne	.L188
	testq	%rax, %rax
	jne	.L196
	xorl	%ebx, %ebx
	xorl	%ecx, %ecx
.L179:
	movq	(%r15), %rax
	leaq	8(%rcx,%rdx), %r8
	subq	%r14, %r12
	leaq	(%r8,%r12), %r15
	movq	%rax, (%rcx,%rdx)
	testq	%rdx, %rdx
	jg	.L197
	testq	%r12, %r12
	jg	.L184
	testq	%r13, %r13
	jne	.L182
.L185:
	movq	%rcx, 0(%rbp)
	movq	%r15, 8(%rbp)
	movq	%rbx, 16(%rbp)
	addq	$24, %rsp
	.cfi_remember_state
	.cfi_def_cfa_offset 56
	popq	%rbx
	.cfi_def_cfa_offset 48
	popq	%rbp
	.cfi_def_cfa_offset 40
	popq	%r12
	.cfi_def_cfa_offset 32
	popq	%r13
	.cfi_def_cfa_offset 24
	popq	%r14
	.cfi_def_cfa_offset 16
	popq	%r15
	.cfi_def_cfa_offset 8
	ret
	.p2align 4,,10
	.p2align 3
.L197:
	.cfi_restore_state
	movq	%rcx, %rdi
	movq	%r13, %rsi
	movq	%r8, (%rsp)
	call	memmove@PLT
	movq	%rax, %rcx
	testq	%r12, %r12
	jg	.L198
.L182:
	movq	16(%rbp), %rsi
	movq	%r13, %rdi
	movq	%rcx, (%rsp)
	subq	%r13, %rsi
	call	_ZdlPvm@PLT
	movq	(%rsp), %rcx
	jmp	.L185
	.p2align 4,,10
	.p2align 3
.L184:
	movq	%r12, %rdx
	movq	%r14, %rsi
	movq	%r8, %rdi
	movq	%rcx, (%rsp)
	call	memcpy@PLT
	movq	(%rsp), %rcx
	testq	%r13, %r13
	je	.L185
	jmp	.L182
	.p2align 4,,10
	.p2align 3
.L188:
	movabsq	$9223372036854775800, %rbx
.L178:
	movq	%rbx, %rdi
	movq	%rdx, (%rsp)
	call	_Znwm@PLT
	movq	(%rsp), %rdx
	movq	%rax, %rcx
	addq	%rax, %rbx
	jmp	.L179
	.p2align 4,,10
	.p2align 3
.L198:
	movq	(%rsp), %rdi
	movq	%r12, %rdx
	movq	%r14, %rsi
	movq	%rax, 8(%rsp)
	call	memcpy@PLT
	movq	8(%rsp), %rcx
	jmp	.L182
	.p2align 4,,10
	.p2align 3
.L196:
	movabsq	$1152921504606846975, %rcx
	cmpq	%rcx, %rax
	cmova	%rcx, %rax
	leaq	0(,%rax,8), %rbx
	jmp	.L178
.L195:
	leaq	.LC4(%rip), %rdi
	call	_ZSt20__throw_length_errorPKc@PLT
	.cfi_endproc
.LFE2598:
	.size	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_, .-_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_
	.text
	.align 2
	.p2align 4
	.globl	_ZN18SrsRtpJitterBuffer3getEv
	.type	_ZN18SrsRtpJitterBuffer3getEv, @function
_ZN18SrsRtpJitterBuffer3getEv:
.LFB2190:
	.cfi_startproc
	pushq	%rbx
	.cfi_def_cfa_offset 16
	.cfi_offset 3, -16
	subq	$32, %rsp
	.cfi_def_cfa_offset 48
	movzwl	16(%rdi), %esi
	movq	%fs:40, %rax
	movq	%rax, 24(%rsp)
	xorl	%eax, %eax
	cmpw	18(%rdi), %si
	je	.L202
	leal	1(%rsi), %eax
	movq	%rdi, %rbx
	movw	%ax, 16(%rdi)
	call	_ZN16SrsRtpRingBuffer2atEt@PLT
	movq	%rax, 16(%rsp)
	testq	%rax, %rax
	je	.L202
	movq	32(%rbx), %rsi
	cmpq	40(%rbx), %rsi
	je	.L203
	movq	%rax, (%rsi)
	addq	$8, %rsi
	movq	%rsi, 32(%rbx)
	jmp	.L199
	.p2align 4,,10
	.p2align 3
.L202:
	xorl	%eax, %eax
.L199:
	movq	24(%rsp), %rdx
	subq	%fs:40, %rdx
	jne	.L210
	addq	$32, %rsp
	.cfi_remember_state
	.cfi_def_cfa_offset 16
	popq	%rbx
	.cfi_def_cfa_offset 8
	ret
	.p2align 4,,10
	.p2align 3
.L203:
	.cfi_restore_state
	leaq	16(%rsp), %rdx
	leaq	24(%rbx), %rdi
	movq	%rax, 8(%rsp)
	call	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_@PLT
	movq	8(%rsp), %rax
	jmp	.L199
.L210:
	call	__stack_chk_fail@PLT
	.cfi_endproc
.LFE2190:
	.size	_ZN18SrsRtpJitterBuffer3getEv, .-_ZN18SrsRtpJitterBuffer3getEv
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_,comdat
	.align 2
	.p2align 4
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_:
.LFB2772:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsi, %rbp
	pushq	%rbx
	.cfi_def_cfa_offset 24
	.cfi_offset 3, -24
	subq	$8, %rsp
	.cfi_def_cfa_offset 32
	movq	16(%rdi), %rbx
	testq	%rbx, %rbx
	je	.L225
	movzwl	(%rsi), %ecx
	jmp	.L215
	.p2align 4,,10
	.p2align 3
.L219:
	movq	%rax, %rbx
.L215:
	movzwl	32(%rbx), %edx
	movq	24(%rbx), %rax
	cmpw	%dx, %cx
	cmovb	16(%rbx), %rax
	setb	%r8b
	testq	%rax, %rax
	jne	.L219
	movq	%rbx, %rsi
	testb	%r8b, %r8b
	jne	.L213
.L216:
	xorl	%eax, %eax
	cmpw	%cx, %dx
	cmovnb	%rax, %rsi
	cmovb	%rax, %rbx
	addq	$8, %rsp
	.cfi_remember_state
	.cfi_def_cfa_offset 24
	movq	%rbx, %rax
	movq	%rsi, %rdx
	popq	%rbx
	.cfi_def_cfa_offset 16
	popq	%rbp
	.cfi_def_cfa_offset 8
	ret
	.p2align 4,,10
	.p2align 3
.L225:
	.cfi_restore_state
	leaq	8(%rdi), %rbx
.L213:
	cmpq	%rbx, 24(%rdi)
	je	.L221
	movq	%rbx, %rdi
	call	_ZSt18_Rb_tree_decrementPSt18_Rb_tree_node_base@PLT
	movq	%rbx, %rsi
	movzwl	0(%rbp), %ecx
	movzwl	32(%rax), %edx
	movq	%rax, %rbx
	jmp	.L216
	.p2align 4,,10
	.p2align 3
.L221:
	movq	%rbx, %rsi
	addq	$8, %rsp
	.cfi_def_cfa_offset 24
	xorl	%ebx, %ebx
	movq	%rbx, %rax
	movq	%rsi, %rdx
	popq	%rbx
	.cfi_def_cfa_offset 16
	popq	%rbp
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
.LFE2772:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_,comdat
	.align 2
	.p2align 4
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_:
.LFB2681:
	.cfi_startproc
	pushq	%r13
	.cfi_def_cfa_offset 16
	.cfi_offset 13, -16
	leaq	8(%rdi), %rax
	pushq	%r12
	.cfi_def_cfa_offset 24
	.cfi_offset 12, -24
	movq	%rdx, %r12
	pushq	%rbp
	.cfi_def_cfa_offset 32
	.cfi_offset 6, -32
	movq	%rdi, %rbp
	pushq	%rbx
	.cfi_def_cfa_offset 40
	.cfi_offset 3, -40
	subq	$8, %rsp
	.cfi_def_cfa_offset 48
	cmpq	%rax, %rsi
	je	.L238
	movzwl	(%rdx), %r13d
	movzwl	32(%rsi), %eax
	movq	%rsi, %rbx
	cmpw	%ax, %r13w
	jnb	.L230
	movq	24(%rdi), %rcx
	movq	%rcx, %rdx
	cmpq	%rsi, %rcx
	je	.L229
	movq	%rsi, %rdi
	call	_ZSt18_Rb_tree_decrementPSt18_Rb_tree_node_base@PLT
	cmpw	%r13w, 32(%rax)
	jnb	.L228
	xorl	%ecx, %ecx
	cmpq	$0, 24(%rax)
	cmovne	%rbx, %rcx
	cmove	%rax, %rbx
	movq	%rbx, %rdx
.L229:
	addq	$8, %rsp
	.cfi_remember_state
	.cfi_def_cfa_offset 40
	movq	%rcx, %rax
	popq	%rbx
	.cfi_def_cfa_offset 32
	popq	%rbp
	.cfi_def_cfa_offset 24
	popq	%r12
	.cfi_def_cfa_offset 16
	popq	%r13
	.cfi_def_cfa_offset 8
	ret
	.p2align 4,,10
	.p2align 3
.L230:
	.cfi_restore_state
	cmpw	%r13w, %ax
	jnb	.L233
	movq	32(%rdi), %rdx
	cmpq	%rsi, %rdx
	je	.L237
	movq	%rsi, %rdi
	call	_ZSt18_Rb_tree_incrementPSt18_Rb_tree_node_base@PLT
	cmpw	32(%rax), %r13w
	jnb	.L228
	xorl	%ecx, %ecx
	cmpq	$0, 24(%rbx)
	cmovne	%rax, %rbx
	cmovne	%rax, %rcx
	movq	%rbx, %rdx
	jmp	.L229
	.p2align 4,,10
	.p2align 3
.L238:
	cmpq	$0, 40(%rdi)
	jne	.L239
.L228:
	addq	$8, %rsp
	.cfi_remember_state
	.cfi_def_cfa_offset 40
	movq	%r12, %rsi
	movq	%rbp, %rdi
	popq	%rbx
	.cfi_def_cfa_offset 32
	popq	%rbp
	.cfi_def_cfa_offset 24
	popq	%r12
	.cfi_def_cfa_offset 16
	popq	%r13
	.cfi_def_cfa_offset 8
	jmp	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_@PLT
	.p2align 4,,10
	.p2align 3
.L233:
	.cfi_restore_state
	addq	$8, %rsp
	.cfi_remember_state
	.cfi_def_cfa_offset 40
	movq	%rsi, %rcx
	xorl	%edx, %edx
	popq	%rbx
	.cfi_def_cfa_offset 32
	movq	%rcx, %rax
	popq	%rbp
	.cfi_def_cfa_offset 24
	popq	%r12
	.cfi_def_cfa_offset 16
	popq	%r13
	.cfi_def_cfa_offset 8
	ret
	.p2align 4,,10
	.p2align 3
.L239:
	.cfi_restore_state
	movq	32(%rdi), %rdx
	movzwl	(%r12), %eax
	cmpw	%ax, 32(%rdx)
	jnb	.L228
.L237:
	addq	$8, %rsp
	.cfi_def_cfa_offset 40
	xorl	%ecx, %ecx
	popq	%rbx
	.cfi_def_cfa_offset 32
	movq	%rcx, %rax
	popq	%rbp
	.cfi_def_cfa_offset 24
	popq	%r12
	.cfi_def_cfa_offset 16
	popq	%r13
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
.LFE2681:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_
	.text
	.align 2
	.p2align 4
	.globl	_ZN21SrsRtpNackForReceiver6insertEtt
	.type	_ZN21SrsRtpNackForReceiver6insertEtt, @function
_ZN21SrsRtpNackForReceiver6insertEtt:
.LFB2185:
	.cfi_startproc
	cmpw	%dx, %si
	je	.L259
	pushq	%r15
	.cfi_def_cfa_offset 16
	.cfi_offset 15, -16
	movl	%esi, %r15d
	pushq	%r14
	.cfi_def_cfa_offset 24
	.cfi_offset 14, -24
	movl	%edx, %r14d
	pushq	%r13
	.cfi_def_cfa_offset 32
	.cfi_offset 13, -32
	leaq	8(%rdi), %r13
	pushq	%r12
	.cfi_def_cfa_offset 40
	.cfi_offset 12, -40
	movq	%rdi, %r12
	pushq	%rbp
	.cfi_def_cfa_offset 48
	.cfi_offset 6, -48
	pushq	%rbx
	.cfi_def_cfa_offset 56
	.cfi_offset 3, -56
	subq	$24, %rsp
	.cfi_def_cfa_offset 80
	.p2align 4,,10
	.p2align 3
.L249:
	call	st_utime@PLT
	movq	%r13, %rbx
	movq	%rax, %rbp
	movq	16(%r12), %rax
	testq	%rax, %rax
	jne	.L244
	jmp	.L242
	.p2align 4,,10
	.p2align 3
.L263:
	movq	%rax, %rbx
	movq	%rcx, %rax
	testq	%rax, %rax
	je	.L262
.L244:
	movq	16(%rax), %rcx
	movq	24(%rax), %rdx
	cmpw	%r15w, 32(%rax)
	jnb	.L263
	movq	%rdx, %rax
	testq	%rax, %rax
	jne	.L244
.L262:
	cmpq	%r13, %rbx
	je	.L242
	cmpw	32(%rbx), %r15w
	jnb	.L245
.L242:
	movl	$48, %edi
	movq	%rbx, 8(%rsp)
	call	_Znwm@PLT
	movq	8(%rsp), %rsi
	movq	%r12, %rdi
	movw	%r15w, 32(%rax)
	leaq	32(%rax), %rdx
	movq	%rax, %rbx
	movq	$0, 40(%rax)
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_@PLT
	testq	%rdx, %rdx
	je	.L246
	cmpq	%rdx, %r13
	je	.L254
	testq	%rax, %rax
	je	.L264
.L254:
	movl	$1, %edi
.L247:
	movq	%r13, %rcx
	movq	%rbx, %rsi
	call	_ZSt29_Rb_tree_insert_and_rebalancebPSt18_Rb_tree_node_baseS0_RS_@PLT
	addq	$1, 40(%r12)
.L245:
	addl	$1, %r15d
	movq	%rbp, 40(%rbx)
	cmpw	%r14w, %r15w
	jne	.L249
	addq	$24, %rsp
	.cfi_remember_state
	.cfi_def_cfa_offset 56
	popq	%rbx
	.cfi_def_cfa_offset 48
	popq	%rbp
	.cfi_def_cfa_offset 40
	popq	%r12
	.cfi_def_cfa_offset 32
	popq	%r13
	.cfi_def_cfa_offset 24
	popq	%r14
	.cfi_def_cfa_offset 16
	popq	%r15
	.cfi_def_cfa_offset 8
	ret
	.p2align 4,,10
	.p2align 3
.L246:
	.cfi_restore_state
	movq	%rbx, %rdi
	movl	$48, %esi
	movq	%rax, 8(%rsp)
	call	_ZdlPvm@PLT
	movq	8(%rsp), %rbx
	jmp	.L245
.L264:
	xorl	%edi, %edi
	cmpw	32(%rdx), %r15w
	setb	%dil
	jmp	.L247
.L259:
	.cfi_def_cfa_offset 8
	.cfi_restore 3
	.cfi_restore 6
	.cfi_restore 12
	.cfi_restore 13
	.cfi_restore 14
	.cfi_restore 15
	ret
	.cfi_endproc
.LFE2185:
	.size	_ZN21SrsRtpNackForReceiver6insertEtt, .-_ZN21SrsRtpNackForReceiver6insertEtt
	.weak	_ZTS15SrsLiveConsumer
	.section	.rodata._ZTS15SrsLiveConsumer,"aG",@progbits,_ZTS15SrsLiveConsumer,comdat
	.align 16
	.type	_ZTS15SrsLiveConsumer, @object
	.size	_ZTS15SrsLiveConsumer, 18
_ZTS15SrsLiveConsumer:
	.string	"15SrsLiveConsumer"
	.weak	_ZTI15SrsLiveConsumer
	.section	.data.rel.ro._ZTI15SrsLiveConsumer,"awG",@progbits,_ZTI15SrsLiveConsumer,comdat
	.align 8
	.type	_ZTI15SrsLiveConsumer, @object
	.size	_ZTI15SrsLiveConsumer, 16
_ZTI15SrsLiveConsumer:
	.quad	_ZTVN10__cxxabiv117__class_type_infoE+16
	.quad	_ZTS15SrsLiveConsumer
	.weak	_ZTV15SrsLiveConsumer
	.section	.data.rel.ro._ZTV15SrsLiveConsumer,"awG",@progbits,_ZTV15SrsLiveConsumer,comdat
	.align 8
	.type	_ZTV15SrsLiveConsumer, @object
	.size	_ZTV15SrsLiveConsumer, 40
_ZTV15SrsLiveConsumer:
	.quad	0
	.quad	_ZTI15SrsLiveConsumer
	.quad	_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket
	.quad	_ZN15SrsLiveConsumerD1Ev
	.quad	_ZN15SrsLiveConsumerD0Ev
	.hidden	DW.ref.__gxx_personality_v0
	.weak	DW.ref.__gxx_personality_v0
	.section	.data.rel.local.DW.ref.__gxx_personality_v0,"awG",@progbits,DW.ref.__gxx_personality_v0,comdat
	.align 8
	.type	DW.ref.__gxx_personality_v0, @object
	.size	DW.ref.__gxx_personality_v0, 8
DW.ref.__gxx_personality_v0:
	.quad	__gxx_personality_v0
	.section	.note.GNU-stack,"",@progbits
