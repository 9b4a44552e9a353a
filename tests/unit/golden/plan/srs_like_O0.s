	.file	"srs_like.cc"
	.text
	.weak	_ZSt19piecewise_construct
	.section	.rodata._ZSt19piecewise_construct,"aG",@progbits,_ZSt19piecewise_construct,comdat
	.type	_ZSt19piecewise_construct, @gnu_unique_object
	.size	_ZSt19piecewise_construct, 1
_ZSt19piecewise_construct:
	.zero	1
	.section	.text._ZnwmPv,"axG",@progbits,_ZnwmPv,comdat
	.weak	_ZnwmPv
	.type	_ZnwmPv, @function
_ZnwmPv:
.LFB397:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-16(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE397:
	.size	_ZnwmPv, .-_ZnwmPv
	.section	.text._ZdlPvS_,"axG",@progbits,_ZdlPvS_,comdat
	.weak	_ZdlPvS_
	.type	_ZdlPvS_, @function
_ZdlPvS_:
.LFB399:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	nop
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE399:
	.size	_ZdlPvS_, .-_ZdlPvS_
	.section	.text._ZNSt15_Rb_tree_header8_M_resetEv,"axG",@progbits,_ZNSt15_Rb_tree_header8_M_resetEv,comdat
	.align 2
	.weak	_ZNSt15_Rb_tree_header8_M_resetEv
	.type	_ZNSt15_Rb_tree_header8_M_resetEv, @function
_ZNSt15_Rb_tree_header8_M_resetEv:
.LFB649:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	$0, 8(%rax)
	movq	-8(%rbp), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, 16(%rax)
	movq	-8(%rbp), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, 24(%rax)
	movq	-8(%rbp), %rax
	movq	$0, 32(%rax)
	nop
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE649:
	.size	_ZNSt15_Rb_tree_header8_M_resetEv, .-_ZNSt15_Rb_tree_header8_M_resetEv
	.section	.text._ZN9SrsBuffer7requireEi,"axG",@progbits,_ZN9SrsBuffer7requireEi,comdat
	.align 2
	.weak	_ZN9SrsBuffer7requireEi
	.type	_ZN9SrsBuffer7requireEi, @function
_ZN9SrsBuffer7requireEi:
.LFB2145:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movl	%esi, -12(%rbp)
	movq	-8(%rbp), %rax
	movl	12(%rax), %edx
	movl	-12(%rbp), %eax
	addl	%eax, %edx
	movq	-8(%rbp), %rax
	movl	8(%rax), %eax
	cmpl	%eax, %edx
	setle	%al
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2145:
	.size	_ZN9SrsBuffer7requireEi, .-_ZN9SrsBuffer7requireEi
	.section	.text._ZN9SrsBuffer5read1Ev,"axG",@progbits,_ZN9SrsBuffer5read1Ev,comdat
	.align 2
	.weak	_ZN9SrsBuffer5read1Ev
	.type	_ZN9SrsBuffer5read1Ev, @function
_ZN9SrsBuffer5read1Ev:
.LFB2146:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	(%rax), %rsi
	movq	-8(%rbp), %rax
	movl	12(%rax), %eax
	leal	1(%rax), %ecx
	movq	-8(%rbp), %rdx
	movl	%ecx, 12(%rdx)
	cltq
	addq	%rsi, %rax
	movzbl	(%rax), %eax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2146:
	.size	_ZN9SrsBuffer5read1Ev, .-_ZN9SrsBuffer5read1Ev
	.text
	.align 2
	.globl	_ZN12SrsRtpPacket6decodeEP9SrsBuffer
	.type	_ZN12SrsRtpPacket6decodeEP9SrsBuffer, @function
_ZN12SrsRtpPacket6decodeEP9SrsBuffer:
.LFB2147:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$40, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -40(%rbp)
	movq	%rsi, -48(%rbp)
	movq	-48(%rbp), %rax
	movl	$12, %esi
	movq	%rax, %rdi
	call	_ZN9SrsBuffer7requireEi@PLT
	xorl	$1, %eax
	testb	%al, %al
	je	.L10
	movl	$-1, %eax
	jmp	.L11
.L10:
	movq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZN9SrsBuffer5read1Ev@PLT
	movb	%al, -21(%rbp)
	movzbl	-21(%rbp), %eax
	andl	$192, %eax
	cmpl	$128, %eax
	je	.L12
	movl	$-2, %eax
	jmp	.L11
.L12:
	movq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZN9SrsBuffer5read1Ev@PLT
	movzbl	%al, %eax
	sall	$8, %eax
	movl	%eax, %edx
	movq	-40(%rbp), %rax
	movw	%dx, (%rax)
	movq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZN9SrsBuffer5read1Ev@PLT
	movq	-40(%rbp), %rdx
	movzwl	(%rdx), %edx
	movzbl	%al, %eax
	orl	%eax, %edx
	movq	-40(%rbp), %rax
	movw	%dx, (%rax)
	movq	-40(%rbp), %rax
	movl	$0, 4(%rax)
	movl	$0, -20(%rbp)
	jmp	.L13
.L14:
	movq	-40(%rbp), %rax
	movl	4(%rax), %eax
	sall	$8, %eax
	movl	%eax, %ebx
	movq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZN9SrsBuffer5read1Ev@PLT
	movzbl	%al, %eax
	orl	%eax, %ebx
	movl	%ebx, %edx
	movq	-40(%rbp), %rax
	movl	%edx, 4(%rax)
	addl	$1, -20(%rbp)
.L13:
	cmpl	$3, -20(%rbp)
	jle	.L14
	movq	-48(%rbp), %rax
	movl	8(%rax), %edx
	movq	-40(%rbp), %rax
	movl	%edx, 8(%rax)
	movl	$0, %eax
.L11:
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2147:
	.size	_ZN12SrsRtpPacket6decodeEP9SrsBuffer, .-_ZN12SrsRtpPacket6decodeEP9SrsBuffer
	.align 2
	.globl	_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket
	.type	_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket, @function
_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket:
.LFB2148:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$48, %rsp
	movq	%rdi, -24(%rbp)
	movl	%esi, %eax
	movq	%rdx, -40(%rbp)
	movw	%ax, -28(%rbp)
	movq	-24(%rbp), %rax
	movq	8(%rax), %rcx
	movq	-24(%rbp), %rax
	movzwl	(%rax), %edi
	movzwl	-28(%rbp), %eax
	movl	$0, %edx
	divw	%di
	movl	%edx, %esi
	movl	%esi, %eax
	movzwl	%ax, %eax
	salq	$3, %rax
	addq	%rcx, %rax
	movq	(%rax), %rax
	movq	%rax, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	free@PLT
	movq	-24(%rbp), %rax
	movq	8(%rax), %rcx
	movq	-24(%rbp), %rax
	movzwl	(%rax), %edi
	movzwl	-28(%rbp), %eax
	movl	$0, %edx
	divw	%di
	movl	%edx, %esi
	movl	%esi, %eax
	movzwl	%ax, %eax
	salq	$3, %rax
	leaq	(%rcx,%rax), %rdx
	movq	-40(%rbp), %rax
	movq	%rax, (%rdx)
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2148:
	.size	_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket, .-_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket
	.align 2
	.globl	_ZN16SrsRtpRingBuffer2atEt
	.type	_ZN16SrsRtpRingBuffer2atEt, @function
_ZN16SrsRtpRingBuffer2atEt:
.LFB2149:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movl	%esi, %eax
	movw	%ax, -12(%rbp)
	movq	-8(%rbp), %rax
	movq	8(%rax), %rcx
	movq	-8(%rbp), %rax
	movzwl	(%rax), %edi
	movzwl	-12(%rbp), %eax
	movl	$0, %edx
	divw	%di
	movl	%edx, %esi
	movl	%esi, %eax
	movzwl	%ax, %eax
	salq	$3, %rax
	addq	%rcx, %rax
	movq	(%rax), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2149:
	.size	_ZN16SrsRtpRingBuffer2atEt, .-_ZN16SrsRtpRingBuffer2atEt
	.align 2
	.globl	_ZN16SrsRtpRingBuffer6updateEtRtS0_
	.type	_ZN16SrsRtpRingBuffer6updateEtRtS0_, @function
_ZN16SrsRtpRingBuffer6updateEtRtS0_:
.LFB2150:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movl	%esi, %eax
	movq	%rdx, -24(%rbp)
	movq	%rcx, -32(%rbp)
	movw	%ax, -12(%rbp)
	movq	-8(%rbp), %rax
	movzbl	20(%rax), %eax
	xorl	$1, %eax
	testb	%al, %al
	je	.L19
	movq	-8(%rbp), %rax
	movb	$1, 20(%rax)
	movq	-8(%rbp), %rax
	movzwl	-12(%rbp), %edx
	movw	%dx, 16(%rax)
	movzwl	-12(%rbp), %eax
	leal	1(%rax), %edx
	movq	-8(%rbp), %rax
	movw	%dx, 18(%rax)
	movl	$1, %eax
	jmp	.L20
.L19:
	movq	-8(%rbp), %rax
	movzwl	18(%rax), %edx
	movzwl	-12(%rbp), %eax
	subl	%edx, %eax
	testw	%ax, %ax
	js	.L21
	movq	-8(%rbp), %rax
	movzwl	18(%rax), %edx
	movq	-24(%rbp), %rax
	movw	%dx, (%rax)
	movq	-32(%rbp), %rax
	movzwl	-12(%rbp), %edx
	movw	%dx, (%rax)
	movzwl	-12(%rbp), %eax
	leal	1(%rax), %edx
	movq	-8(%rbp), %rax
	movw	%dx, 18(%rax)
	movl	$1, %eax
	jmp	.L20
.L21:
	movq	-8(%rbp), %rax
	movzwl	16(%rax), %edx
	movzwl	-12(%rbp), %eax
	subl	%edx, %eax
	testw	%ax, %ax
	jns	.L22
	movq	-8(%rbp), %rax
	movzwl	-12(%rbp), %edx
	movw	%dx, 16(%rax)
.L22:
	movl	$1, %eax
.L20:
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2150:
	.size	_ZN16SrsRtpRingBuffer6updateEtRtS0_, .-_ZN16SrsRtpRingBuffer6updateEtRtS0_
	.align 2
	.globl	_ZN21SrsRtpNackForReceiver6insertEtt
	.type	_ZN21SrsRtpNackForReceiver6insertEtt, @function
_ZN21SrsRtpNackForReceiver6insertEtt:
.LFB2151:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$40, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -40(%rbp)
	movl	%esi, %ecx
	movl	%edx, %eax
	movl	%ecx, %edx
	movw	%dx, -44(%rbp)
	movw	%ax, -48(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -24(%rbp)
	xorl	%eax, %eax
	movzwl	-44(%rbp), %eax
	movw	%ax, -26(%rbp)
	jmp	.L24
.L25:
	call	st_utime@PLT
	movq	%rax, %rbx
	movq	-40(%rbp), %rax
	leaq	-26(%rbp), %rdx
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEEixERS3_@PLT
	movq	%rbx, (%rax)
	movzwl	-26(%rbp), %eax
	addl	$1, %eax
	movw	%ax, -26(%rbp)
.L24:
	movzwl	-26(%rbp), %eax
	cmpw	%ax, -48(%rbp)
	jne	.L25
	nop
	movq	-24(%rbp), %rax
	subq	%fs:40, %rax
	je	.L26
	call	__stack_chk_fail@PLT
.L26:
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2151:
	.size	_ZN21SrsRtpNackForReceiver6insertEtt, .-_ZN21SrsRtpNackForReceiver6insertEtt
	.align 2
	.globl	_ZN21SrsRtpNackForReceiver4findEt
	.type	_ZN21SrsRtpNackForReceiver4findEt, @function
_ZN21SrsRtpNackForReceiver4findEt:
.LFB2152:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$48, %rsp
	movq	%rdi, -40(%rbp)
	movl	%esi, %eax
	movw	%ax, -44(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -8(%rbp)
	xorl	%eax, %eax
	movq	-40(%rbp), %rax
	leaq	-44(%rbp), %rdx
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE4findERS3_@PLT
	movq	%rax, -24(%rbp)
	movq	-40(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE3endEv@PLT
	movq	%rax, -16(%rbp)
	leaq	-16(%rbp), %rdx
	leaq	-24(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZSteqRKSt17_Rb_tree_iteratorISt4pairIKtlEES5_@PLT
	testb	%al, %al
	je	.L28
	movl	$0, %eax
	jmp	.L30
.L28:
	leaq	-24(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEptEv@PLT
	addq	$8, %rax
.L30:
	movq	-8(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L31
	call	__stack_chk_fail@PLT
.L31:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2152:
	.size	_ZN21SrsRtpNackForReceiver4findEt, .-_ZN21SrsRtpNackForReceiver4findEt
	.align 2
	.globl	_ZN21SrsRtpNackForReceiver16check_queue_sizeEv
	.type	_ZN21SrsRtpNackForReceiver16check_queue_sizeEv, @function
_ZN21SrsRtpNackForReceiver16check_queue_sizeEv:
.LFB2154:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE4sizeEv@PLT
	movq	-8(%rbp), %rdx
	movl	48(%rdx), %edx
	movl	%edx, %edx
	cmpq	%rdx, %rax
	setb	%al
	testb	%al, %al
	jne	.L35
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE5clearEv@PLT
	movq	-8(%rbp), %rax
	movq	56(%rax), %rax
	movw	$0, 18(%rax)
	movq	-8(%rbp), %rdx
	movq	56(%rdx), %rdx
	movzwl	18(%rax), %eax
	movw	%ax, 16(%rdx)
	jmp	.L32
.L35:
	nop
.L32:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2154:
	.size	_ZN21SrsRtpNackForReceiver16check_queue_sizeEv, .-_ZN21SrsRtpNackForReceiver16check_queue_sizeEv
	.align 2
	.globl	_ZN18SrsRtpJitterBuffer3putEP12SrsRtpPacketi
	.type	_ZN18SrsRtpJitterBuffer3putEP12SrsRtpPacketi, @function
_ZN18SrsRtpJitterBuffer3putEP12SrsRtpPacketi:
.LFB2155:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	addq	$-128, %rsp
	movq	%rdi, -104(%rbp)
	movq	%rsi, -112(%rbp)
	movl	%edx, -116(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -8(%rbp)
	xorl	%eax, %eax
	movw	$0, -84(%rbp)
	movw	$0, -82(%rbp)
	cmpl	$11, -116(%rbp)
	jg	.L37
	movl	$-1, %eax
	jmp	.L42
.L37:
	movq	-104(%rbp), %rax
	movq	-112(%rbp), %rdx
	movzwl	(%rdx), %edx
	movzwl	%dx, %esi
	leaq	-82(%rbp), %rcx
	leaq	-84(%rbp), %rdx
	movq	%rax, %rdi
	call	_ZN16SrsRtpRingBuffer6updateEtRtS0_@PLT
	xorl	$1, %eax
	testb	%al, %al
	je	.L39
	movl	$-2, %eax
	jmp	.L42
.L39:
	movq	-104(%rbp), %rax
	movq	-112(%rbp), %rdx
	movzwl	(%rdx), %edx
	movzwl	%dx, %ecx
	movq	-112(%rbp), %rdx
	movl	%ecx, %esi
	movq	%rax, %rdi
	call	_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket@PLT
	movl	-116(%rbp), %eax
	movl	$64, %edx
	cmpl	%edx, %eax
	cmovg	%edx, %eax
	movslq	%eax, %rdx
	movq	-112(%rbp), %rax
	leaq	12(%rax), %rcx
	leaq	-80(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	memcpy@PLT
	movq	-104(%rbp), %rax
	movq	48(%rax), %rdx
	movzbl	-80(%rbp), %eax
	movsbq	%al, %rax
	addq	%rax, %rdx
	movq	-104(%rbp), %rax
	movq	%rdx, 48(%rax)
	movzwl	-82(%rbp), %edx
	movzwl	-84(%rbp), %eax
	cmpw	%ax, %dx
	je	.L40
	movl	$1, %eax
	jmp	.L44
.L40:
	movl	$0, %eax
.L44:
	nop
.L42:
	movq	-8(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L43
	call	__stack_chk_fail@PLT
.L43:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2155:
	.size	_ZN18SrsRtpJitterBuffer3putEP12SrsRtpPacketi, .-_ZN18SrsRtpJitterBuffer3putEP12SrsRtpPacketi
	.align 2
	.globl	_ZN18SrsRtpJitterBuffer3getEv
	.type	_ZN18SrsRtpJitterBuffer3getEv, @function
_ZN18SrsRtpJitterBuffer3getEv:
.LFB2156:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -24(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -8(%rbp)
	xorl	%eax, %eax
	movq	-24(%rbp), %rax
	movzwl	16(%rax), %edx
	movq	-24(%rbp), %rax
	movzwl	18(%rax), %eax
	cmpw	%ax, %dx
	jne	.L46
	movl	$0, %eax
	jmp	.L49
.L46:
	movq	-24(%rbp), %rdx
	movq	-24(%rbp), %rax
	movzwl	16(%rax), %eax
	leal	1(%rax), %esi
	movq	-24(%rbp), %rcx
	movw	%si, 16(%rcx)
	movzwl	%ax, %eax
	movl	%eax, %esi
	movq	%rdx, %rdi
	call	_ZN16SrsRtpRingBuffer2atEt@PLT
	movq	%rax, -16(%rbp)
	movq	-16(%rbp), %rax
	testq	%rax, %rax
	je	.L48
	movq	-24(%rbp), %rax
	leaq	24(%rax), %rdx
	leaq	-16(%rbp), %rax
	movq	%rax, %rsi
	movq	%rdx, %rdi
	call	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE9push_backERKS1_@PLT
.L48:
	movq	-16(%rbp), %rax
.L49:
	movq	-8(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L50
	call	__stack_chk_fail@PLT
.L50:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2156:
	.size	_ZN18SrsRtpJitterBuffer3getEv, .-_ZN18SrsRtpJitterBuffer3getEv
	.align 2
	.globl	_ZN18SrsRtpJitterBuffer8get_timeEj
	.type	_ZN18SrsRtpJitterBuffer8get_timeEj, @function
_ZN18SrsRtpJitterBuffer8get_timeEj:
.LFB2157:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movl	%esi, -12(%rbp)
	movq	-8(%rbp), %rax
	movq	48(%rax), %rsi
	movl	-12(%rbp), %eax
	imulq	$1000, %rax, %rcx
	movabsq	$3279421168659475843, %rdx
	movq	%rcx, %rax
	imulq	%rdx
	sarq	$4, %rdx
	movq	%rcx, %rax
	sarq	$63, %rax
	subq	%rax, %rdx
	leaq	(%rsi,%rdx), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2157:
	.size	_ZN18SrsRtpJitterBuffer8get_timeEj, .-_ZN18SrsRtpJitterBuffer8get_timeEj
	.section	.text._ZN15SrsLiveConsumerD2Ev,"axG",@progbits,_ZN15SrsLiveConsumerD5Ev,comdat
	.align 2
	.weak	_ZN15SrsLiveConsumerD2Ev
	.type	_ZN15SrsLiveConsumerD2Ev, @function
_ZN15SrsLiveConsumerD2Ev:
.LFB2159:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	_ZTV15SrsLiveConsumer@GOTPCREL(%rip), %rax
	leaq	16(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, (%rax)
	nop
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2159:
	.size	_ZN15SrsLiveConsumerD2Ev, .-_ZN15SrsLiveConsumerD2Ev
	.weak	_ZN15SrsLiveConsumerD1Ev
	.set	_ZN15SrsLiveConsumerD1Ev,_ZN15SrsLiveConsumerD2Ev
	.section	.text._ZN15SrsLiveConsumerD0Ev,"axG",@progbits,_ZN15SrsLiveConsumerD5Ev,comdat
	.align 2
	.weak	_ZN15SrsLiveConsumerD0Ev
	.type	_ZN15SrsLiveConsumerD0Ev, @function
_ZN15SrsLiveConsumerD0Ev:
.LFB2161:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZN15SrsLiveConsumerD1Ev@PLT
	movq	-8(%rbp), %rax
	movl	$24, %esi
	movq	%rax, %rdi
	call	_ZdlPvm@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2161:
	.size	_ZN15SrsLiveConsumerD0Ev, .-_ZN15SrsLiveConsumerD0Ev
	.text
	.align 2
	.globl	_ZN15SrsLiveConsumer4waitEii
	.type	_ZN15SrsLiveConsumer4waitEii, @function
_ZN15SrsLiveConsumer4waitEii:
.LFB2162:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movl	%esi, -12(%rbp)
	movl	%edx, -16(%rbp)
	movq	-8(%rbp), %rax
	movl	16(%rax), %eax
	cmpl	%eax, -12(%rbp)
	jl	.L58
	movl	-12(%rbp), %edx
	movl	-16(%rbp), %eax
	addl	%eax, %edx
	movq	-8(%rbp), %rax
	movl	%edx, 16(%rax)
	movq	-8(%rbp), %rax
	movq	8(%rax), %rax
	movq	%rax, %rdi
	call	st_cond_wait@PLT
	movq	-8(%rbp), %rax
	movl	$0, 16(%rax)
	jmp	.L55
.L58:
	nop
.L55:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2162:
	.size	_ZN15SrsLiveConsumer4waitEii, .-_ZN15SrsLiveConsumer4waitEii
	.section	.rodata
.LC0:
	.string	"no packet"
	.text
	.align 2
	.globl	_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket
	.type	_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket, @function
_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket:
.LFB2163:
	.cfi_startproc
	.cfi_personality 0x9b,DW.ref.__gxx_personality_v0
	.cfi_lsda 0x1b,.LLSDA2163
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%r12
	pushq	%rbx
	subq	$16, %rsp
	.cfi_offset 12, -24
	.cfi_offset 3, -32
	movq	%rdi, -24(%rbp)
	movq	%rsi, -32(%rbp)
	cmpq	$0, -32(%rbp)
	jne	.L60
	movl	$16, %edi
	call	__cxa_allocate_exception@PLT
	movq	%rax, %rbx
	leaq	.LC0(%rip), %rax
	movq	%rax, %rsi
	movq	%rbx, %rdi
.LEHB0:
	call	_ZNSt16invalid_argumentC1EPKc@PLT
.LEHE0:
	movq	_ZNSt16invalid_argumentD1Ev@GOTPCREL(%rip), %rax
	movq	%rax, %rdx
	movq	_ZTISt16invalid_argument@GOTPCREL(%rip), %rax
	movq	%rax, %rsi
	movq	%rbx, %rdi
.LEHB1:
	call	__cxa_throw@PLT
.L60:
	movq	-24(%rbp), %rax
	movl	16(%rax), %eax
	leal	1(%rax), %edx
	movq	-24(%rbp), %rax
	movl	%edx, 16(%rax)
	movq	-24(%rbp), %rax
	movl	16(%rax), %eax
	jmp	.L64
.L63:
	movq	%rax, %r12
	movq	%rbx, %rdi
	call	__cxa_free_exception@PLT
	movq	%r12, %rax
	movq	%rax, %rdi
	call	_Unwind_Resume@PLT
.LEHE1:
.L64:
	addq	$16, %rsp
	popq	%rbx
	popq	%r12
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2163:
	.globl	__gxx_personality_v0
	.section	.gcc_except_table,"a",@progbits
.LLSDA2163:
	.byte	0xff
	.byte	0xff
	.byte	0x1
	.uleb128 .LLSDACSE2163-.LLSDACSB2163
.LLSDACSB2163:
	.uleb128 .LEHB0-.LFB2163
	.uleb128 .LEHE0-.LEHB0
	.uleb128 .L63-.LFB2163
	.uleb128 0
	.uleb128 .LEHB1-.LFB2163
	.uleb128 .LEHE1-.LEHB1
	.uleb128 0
	.uleb128 0
.LLSDACSE2163:
	.text
	.size	_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket, .-_ZN15SrsLiveConsumer7enqueueEP12SrsRtpPacket
	.globl	_Z22SrsRtcConsumer_enqueueP15SrsLiveConsumerP12SrsRtpPacket
	.type	_Z22SrsRtcConsumer_enqueueP15SrsLiveConsumerP12SrsRtpPacket, @function
_Z22SrsRtcConsumer_enqueueP15SrsLiveConsumerP12SrsRtpPacket:
.LFB2164:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	movq	(%rax), %rcx
	movq	-16(%rbp), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	*%rcx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2164:
	.size	_Z22SrsRtcConsumer_enqueueP15SrsLiveConsumerP12SrsRtpPacket, .-_Z22SrsRtcConsumer_enqueueP15SrsLiveConsumerP12SrsRtpPacket
	.globl	_Z24SrsProtocol_recv_messageP15SrsLiveConsumer
	.type	_Z24SrsProtocol_recv_messageP15SrsLiveConsumer, @function
_Z24SrsProtocol_recv_messageP15SrsLiveConsumer:
.LFB2165:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movl	$2, %edx
	movl	$1, %esi
	movq	%rax, %rdi
	call	_ZN15SrsLiveConsumer4waitEii@PLT
	movq	-8(%rbp), %rax
	movl	16(%rax), %eax
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2165:
	.size	_Z24SrsProtocol_recv_messageP15SrsLiveConsumer, .-_Z24SrsProtocol_recv_messageP15SrsLiveConsumer
	.align 2
	.globl	_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket
	.type	_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket, @function
_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket:
.LFB2166:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -24(%rbp)
	movq	%rsi, -32(%rbp)
	movq	$0, -8(%rbp)
	movq	-24(%rbp), %rax
	movzbl	8(%rax), %eax
	xorl	$1, %eax
	testb	%al, %al
	je	.L70
	movq	-8(%rbp), %rax
	jmp	.L71
.L70:
	movq	-24(%rbp), %rax
	movq	(%rax), %rax
	movq	-32(%rbp), %rdx
	movq	(%rdx), %rdx
	movq	-32(%rbp), %rcx
	movq	(%rcx), %rcx
	movzwl	(%rcx), %ecx
	movzwl	%cx, %ecx
	movl	%ecx, %esi
	movq	%rax, %rdi
	call	_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket@PLT
	movq	-8(%rbp), %rax
.L71:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2166:
	.size	_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket, .-_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket
	.align 2
	.globl	_ZN15SrsRtcRecvTrack6notifyEi
	.type	_ZN15SrsRtcRecvTrack6notifyEi, @function
_ZN15SrsRtcRecvTrack6notifyEi:
.LFB2167:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movl	%esi, -12(%rbp)
	cmpl	$3, -12(%rbp)
	jle	.L73
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	movzwl	16(%rax), %edx
	addl	$1, %edx
	movw	%dx, 16(%rax)
.L73:
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	movl	-12(%rbp), %edx
	movzwl	%dx, %ecx
	movl	$0, %edx
	movl	%ecx, %esi
	movq	%rax, %rdi
	call	_ZN16SrsRtpRingBuffer3setEtP12SrsRtpPacket@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2167:
	.size	_ZN15SrsRtcRecvTrack6notifyEi, .-_ZN15SrsRtcRecvTrack6notifyEi
	.section	.rodata
.LC1:
	.string	"short"
	.text
	.align 2
	.globl	_ZN18SrsRtcFrameBuilder16packet_key_frameEP12SrsRtpPacket
	.type	_ZN18SrsRtcFrameBuilder16packet_key_frameEP12SrsRtpPacket, @function
_ZN18SrsRtcFrameBuilder16packet_key_frameEP12SrsRtpPacket:
.LFB2168:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-16(%rbp), %rax
	movl	8(%rax), %eax
	cmpl	$11, %eax
	jg	.L75
	leaq	.LC1(%rip), %rax
	movq	%rax, %rsi
	movl	$0, %edi
	call	_ZN12SrsCplxError4wrapEPS_PKc@PLT
	jmp	.L76
.L75:
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	leaq	-16(%rbp), %rdx
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket@PLT
	nop
.L76:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2168:
	.size	_ZN18SrsRtcFrameBuilder16packet_key_frameEP12SrsRtpPacket, .-_ZN18SrsRtcFrameBuilder16packet_key_frameEP12SrsRtpPacket
	.section	.rodata
.LC2:
	.string	"nack"
	.text
	.align 2
	.globl	_ZN18SrsRtcFrameBuilder12packet_videoEP12SrsRtpPacket
	.type	_ZN18SrsRtcFrameBuilder12packet_videoEP12SrsRtpPacket, @function
_ZN18SrsRtcFrameBuilder12packet_videoEP12SrsRtpPacket:
.LFB2169:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -24(%rbp)
	movq	%rsi, -32(%rbp)
	movq	$0, -8(%rbp)
	movq	-32(%rbp), %rax
	movzwl	(%rax), %eax
	movzwl	%ax, %eax
	andl	$1, %eax
	testl	%eax, %eax
	je	.L78
	movq	-32(%rbp), %rdx
	movq	-24(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZN18SrsRtcFrameBuilder16packet_key_frameEP12SrsRtpPacket@PLT
	jmp	.L79
.L78:
	movq	-24(%rbp), %rax
	movq	(%rax), %rax
	leaq	-32(%rbp), %rdx
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZN15SrsRtcRecvTrack7on_nackEPP12SrsRtpPacket@PLT
	movq	%rax, -8(%rbp)
	cmpq	$0, -8(%rbp)
	setne	%al
	testb	%al, %al
	je	.L80
	movq	-8(%rbp), %rax
	leaq	.LC2(%rip), %rdx
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZN12SrsCplxError4wrapEPS_PKc@PLT
	jmp	.L79
.L80:
	movq	-32(%rbp), %rax
	movl	4(%rax), %edx
	addl	$1, %edx
	movl	%edx, 4(%rax)
	movq	-8(%rbp), %rax
.L79:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2169:
	.size	_ZN18SrsRtcFrameBuilder12packet_videoEP12SrsRtpPacket, .-_ZN18SrsRtcFrameBuilder12packet_videoEP12SrsRtpPacket
	.align 2
	.globl	_ZN15SrsRtcSendTrack12on_recv_nackERKSt6vectorItSaItEE
	.type	_ZN15SrsRtcSendTrack12on_recv_nackERKSt6vectorItSaItEE, @function
_ZN15SrsRtcSendTrack12on_recv_nackERKSt6vectorItSaItEE:
.LFB2170:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$40, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -40(%rbp)
	movq	%rsi, -48(%rbp)
	movq	$0, -24(%rbp)
	jmp	.L82
.L84:
	movq	-40(%rbp), %rbx
	movq	-24(%rbp), %rdx
	movq	-48(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNKSt6vectorItSaItEEixEm@PLT
	movzwl	(%rax), %eax
	movzwl	%ax, %eax
	movl	%eax, %esi
	movq	%rbx, %rdi
	call	_ZN16SrsRtpRingBuffer2atEt@PLT
	testq	%rax, %rax
	sete	%al
	testb	%al, %al
	je	.L83
	movq	-40(%rbp), %rax
	movzwl	18(%rax), %eax
	leal	1(%rax), %edx
	movq	-40(%rbp), %rax
	movw	%dx, 18(%rax)
.L83:
	addq	$1, -24(%rbp)
.L82:
	movq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt6vectorItSaItEE4sizeEv@PLT
	cmpq	%rax, -24(%rbp)
	setb	%al
	testb	%al, %al
	jne	.L84
	movl	$0, %eax
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2170:
	.size	_ZN15SrsRtcSendTrack12on_recv_nackERKSt6vectorItSaItEE, .-_ZN15SrsRtcSendTrack12on_recv_nackERKSt6vectorItSaItEE
	.section	.text._ZNSt3mapItlSt4lessItESaISt4pairIKtlEEEixERS3_,"axG",@progbits,_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEEixERS3_,comdat
	.align 2
	.weak	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEEixERS3_
	.type	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEEixERS3_, @function
_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEEixERS3_:
.LFB2428:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$72, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -72(%rbp)
	movq	%rsi, -80(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -24(%rbp)
	xorl	%eax, %eax
	movq	-80(%rbp), %rdx
	movq	-72(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE11lower_boundERS3_@PLT
	movq	%rax, -48(%rbp)
	movq	-72(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE3endEv@PLT
	movq	%rax, -32(%rbp)
	leaq	-32(%rbp), %rdx
	leaq	-48(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZSteqRKSt17_Rb_tree_iteratorISt4pairIKtlEES5_@PLT
	testb	%al, %al
	jne	.L87
	movq	-72(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE8key_compEv@PLT
	leaq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEdeEv@PLT
	movq	%rax, %rdx
	movq	-80(%rbp), %rcx
	leaq	-40(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNKSt4lessItEclERKtS2_@PLT
	testb	%al, %al
	je	.L88
.L87:
	movl	$1, %eax
	jmp	.L89
.L88:
	movl	$0, %eax
.L89:
	testb	%al, %al
	je	.L90
	movq	-72(%rbp), %rbx
	movq	-80(%rbp), %rdx
	leaq	-40(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt5tupleIJRKtEEC1ILb1ELb1EEES1_@PLT
	leaq	-48(%rbp), %rdx
	leaq	-32(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt23_Rb_tree_const_iteratorISt4pairIKtlEEC1ERKSt17_Rb_tree_iteratorIS2_E@PLT
	leaq	-49(%rbp), %rcx
	leaq	-40(%rbp), %rdx
	movq	-32(%rbp), %rax
	movq	%rcx, %r8
	movq	%rdx, %rcx
	movq	_ZSt19piecewise_construct@GOTPCREL(%rip), %rdx
	movq	%rax, %rsi
	movq	%rbx, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE22_M_emplace_hint_uniqueIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEESt17_Rb_tree_iteratorIS2_ESt23_Rb_tree_const_iteratorIS2_EDpOT_@PLT
	movq	%rax, -48(%rbp)
.L90:
	leaq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEdeEv@PLT
	addq	$8, %rax
	movq	-24(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L92
	call	__stack_chk_fail@PLT
.L92:
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2428:
	.size	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEEixERS3_, .-_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEEixERS3_
	.section	.text._ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE4findERS3_,"axG",@progbits,_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE4findERS3_,comdat
	.align 2
	.weak	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE4findERS3_
	.type	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE4findERS3_, @function
_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE4findERS3_:
.LFB2435:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	-16(%rbp), %rdx
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4findERS1_@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2435:
	.size	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE4findERS3_, .-_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE4findERS3_
	.section	.text._ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE3endEv,"axG",@progbits,_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE3endEv,comdat
	.align 2
	.weak	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE3endEv
	.type	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE3endEv, @function
_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE3endEv:
.LFB2436:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE3endEv@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2436:
	.size	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE3endEv, .-_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE3endEv
	.section	.text._ZSteqRKSt17_Rb_tree_iteratorISt4pairIKtlEES5_,"axG",@progbits,_ZSteqRKSt17_Rb_tree_iteratorISt4pairIKtlEES5_,comdat
	.weak	_ZSteqRKSt17_Rb_tree_iteratorISt4pairIKtlEES5_
	.type	_ZSteqRKSt17_Rb_tree_iteratorISt4pairIKtlEES5_, @function
_ZSteqRKSt17_Rb_tree_iteratorISt4pairIKtlEES5_:
.LFB2437:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	(%rax), %rdx
	movq	-16(%rbp), %rax
	movq	(%rax), %rax
	cmpq	%rax, %rdx
	sete	%al
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2437:
	.size	_ZSteqRKSt17_Rb_tree_iteratorISt4pairIKtlEES5_, .-_ZSteqRKSt17_Rb_tree_iteratorISt4pairIKtlEES5_
	.section	.text._ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEptEv,"axG",@progbits,_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEptEv,comdat
	.align 2
	.weak	_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEptEv
	.type	_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEptEv, @function
_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEptEv:
.LFB2438:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	movq	%rax, %rdi
	call	_ZNSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2438:
	.size	_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEptEv, .-_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEptEv
	.section	.text._ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE4sizeEv,"axG",@progbits,_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE4sizeEv,comdat
	.align 2
	.weak	_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE4sizeEv
	.type	_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE4sizeEv, @function
_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE4sizeEv:
.LFB2439:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4sizeEv@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2439:
	.size	_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE4sizeEv, .-_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE4sizeEv
	.section	.text._ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE5clearEv,"axG",@progbits,_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE5clearEv,comdat
	.align 2
	.weak	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE5clearEv
	.type	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE5clearEv, @function
_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE5clearEv:
.LFB2440:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5clearEv@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2440:
	.size	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE5clearEv, .-_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE5clearEv
	.section	.text._ZNSt6vectorIP12SrsRtpPacketSaIS1_EE9push_backERKS1_,"axG",@progbits,_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE9push_backERKS1_,comdat
	.align 2
	.weak	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE9push_backERKS1_
	.type	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE9push_backERKS1_, @function
_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE9push_backERKS1_:
.LFB2441:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	8(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	16(%rax), %rax
	cmpq	%rax, %rdx
	je	.L105
	movq	-8(%rbp), %rax
	movq	8(%rax), %rcx
	movq	-8(%rbp), %rax
	movq	-16(%rbp), %rdx
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE9constructIS1_JRKS1_EEEvRS2_PT_DpOT0_@PLT
	movq	-8(%rbp), %rax
	movq	8(%rax), %rax
	leaq	8(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, 8(%rax)
	jmp	.L107
.L105:
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE3endEv@PLT
	movq	%rax, %rcx
	movq	-16(%rbp), %rdx
	movq	-8(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_@PLT
.L107:
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2441:
	.size	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE9push_backERKS1_, .-_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE9push_backERKS1_
	.section	.text._ZNKSt6vectorItSaItEE4sizeEv,"axG",@progbits,_ZNKSt6vectorItSaItEE4sizeEv,comdat
	.align 2
	.weak	_ZNKSt6vectorItSaItEE4sizeEv
	.type	_ZNKSt6vectorItSaItEE4sizeEv, @function
_ZNKSt6vectorItSaItEE4sizeEv:
.LFB2443:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	8(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	subq	%rax, %rdx
	movq	%rdx, %rax
	sarq	%rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2443:
	.size	_ZNKSt6vectorItSaItEE4sizeEv, .-_ZNKSt6vectorItSaItEE4sizeEv
	.section	.text._ZNKSt6vectorItSaItEEixEm,"axG",@progbits,_ZNKSt6vectorItSaItEEixEm,comdat
	.align 2
	.weak	_ZNKSt6vectorItSaItEEixEm
	.type	_ZNKSt6vectorItSaItEEixEm, @function
_ZNKSt6vectorItSaItEEixEm:
.LFB2444:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	movq	-16(%rbp), %rdx
	addq	%rdx, %rdx
	addq	%rdx, %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2444:
	.size	_ZNKSt6vectorItSaItEEixEm, .-_ZNKSt6vectorItSaItEEixEm
	.section	.text._ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE11lower_boundERS3_,"axG",@progbits,_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE11lower_boundERS3_,comdat
	.align 2
	.weak	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE11lower_boundERS3_
	.type	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE11lower_boundERS3_, @function
_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE11lower_boundERS3_:
.LFB2540:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	-16(%rbp), %rdx
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11lower_boundERS1_@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2540:
	.size	_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE11lower_boundERS3_, .-_ZNSt3mapItlSt4lessItESaISt4pairIKtlEEE11lower_boundERS3_
	.section	.text._ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE8key_compEv,"axG",@progbits,_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE8key_compEv,comdat
	.align 2
	.weak	_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE8key_compEv
	.type	_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE8key_compEv, @function
_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE8key_compEv:
.LFB2541:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8key_compEv@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2541:
	.size	_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE8key_compEv, .-_ZNKSt3mapItlSt4lessItESaISt4pairIKtlEEE8key_compEv
	.section	.text._ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEdeEv,"axG",@progbits,_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEdeEv,comdat
	.align 2
	.weak	_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEdeEv
	.type	_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEdeEv, @function
_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEdeEv:
.LFB2542:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	movq	%rax, %rdi
	call	_ZNSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2542:
	.size	_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEdeEv, .-_ZNKSt17_Rb_tree_iteratorISt4pairIKtlEEdeEv
	.section	.text._ZNKSt4lessItEclERKtS2_,"axG",@progbits,_ZNKSt4lessItEclERKtS2_,comdat
	.align 2
	.weak	_ZNKSt4lessItEclERKtS2_
	.type	_ZNKSt4lessItEclERKtS2_, @function
_ZNKSt4lessItEclERKtS2_:
.LFB2543:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	movq	-16(%rbp), %rax
	movzwl	(%rax), %edx
	movq	-24(%rbp), %rax
	movzwl	(%rax), %eax
	cmpw	%ax, %dx
	setb	%al
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2543:
	.size	_ZNKSt4lessItEclERKtS2_, .-_ZNKSt4lessItEclERKtS2_
	.section	.text._ZNSt5tupleIJRKtEEC2ILb1ELb1EEES1_,"axG",@progbits,_ZNSt5tupleIJRKtEEC5ILb1ELb1EEES1_,comdat
	.align 2
	.weak	_ZNSt5tupleIJRKtEEC2ILb1ELb1EEES1_
	.type	_ZNSt5tupleIJRKtEEC2ILb1ELb1EEES1_, @function
_ZNSt5tupleIJRKtEEC2ILb1ELb1EEES1_:
.LFB2545:
	.cfi_startproc
	.cfi_personality 0x9b,DW.ref.__gxx_personality_v0
	.cfi_lsda 0x1b,.LLSDA2545
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	-16(%rbp), %rdx
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt11_Tuple_implILm0EJRKtEEC2ES1_@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2545:
	.section	.gcc_except_table
.LLSDA2545:
	.byte	0xff
	.byte	0xff
	.byte	0x1
	.uleb128 .LLSDACSE2545-.LLSDACSB2545
.LLSDACSB2545:
.LLSDACSE2545:
	.section	.text._ZNSt5tupleIJRKtEEC2ILb1ELb1EEES1_,"axG",@progbits,_ZNSt5tupleIJRKtEEC5ILb1ELb1EEES1_,comdat
	.size	_ZNSt5tupleIJRKtEEC2ILb1ELb1EEES1_, .-_ZNSt5tupleIJRKtEEC2ILb1ELb1EEES1_
	.weak	_ZNSt5tupleIJRKtEEC1ILb1ELb1EEES1_
	.set	_ZNSt5tupleIJRKtEEC1ILb1ELb1EEES1_,_ZNSt5tupleIJRKtEEC2ILb1ELb1EEES1_
	.section	.text._ZNSt23_Rb_tree_const_iteratorISt4pairIKtlEEC2ERKSt17_Rb_tree_iteratorIS2_E,"axG",@progbits,_ZNSt23_Rb_tree_const_iteratorISt4pairIKtlEEC5ERKSt17_Rb_tree_iteratorIS2_E,comdat
	.align 2
	.weak	_ZNSt23_Rb_tree_const_iteratorISt4pairIKtlEEC2ERKSt17_Rb_tree_iteratorIS2_E
	.type	_ZNSt23_Rb_tree_const_iteratorISt4pairIKtlEEC2ERKSt17_Rb_tree_iteratorIS2_E, @function
_ZNSt23_Rb_tree_const_iteratorISt4pairIKtlEEC2ERKSt17_Rb_tree_iteratorIS2_E:
.LFB2548:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-16(%rbp), %rax
	movq	(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, (%rax)
	nop
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2548:
	.size	_ZNSt23_Rb_tree_const_iteratorISt4pairIKtlEEC2ERKSt17_Rb_tree_iteratorIS2_E, .-_ZNSt23_Rb_tree_const_iteratorISt4pairIKtlEEC2ERKSt17_Rb_tree_iteratorIS2_E
	.weak	_ZNSt23_Rb_tree_const_iteratorISt4pairIKtlEEC1ERKSt17_Rb_tree_iteratorIS2_E
	.set	_ZNSt23_Rb_tree_const_iteratorISt4pairIKtlEEC1ERKSt17_Rb_tree_iteratorIS2_E,_ZNSt23_Rb_tree_const_iteratorISt4pairIKtlEEC2ERKSt17_Rb_tree_iteratorIS2_E
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE22_M_emplace_hint_uniqueIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEESt17_Rb_tree_iteratorIS2_ESt23_Rb_tree_const_iteratorIS2_EDpOT_,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE22_M_emplace_hint_uniqueIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEESt17_Rb_tree_iteratorIS2_ESt23_Rb_tree_const_iteratorIS2_EDpOT_,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE22_M_emplace_hint_uniqueIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEESt17_Rb_tree_iteratorIS2_ESt23_Rb_tree_const_iteratorIS2_EDpOT_
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE22_M_emplace_hint_uniqueIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEESt17_Rb_tree_iteratorIS2_ESt23_Rb_tree_const_iteratorIS2_EDpOT_, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE22_M_emplace_hint_uniqueIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEESt17_Rb_tree_iteratorIS2_ESt23_Rb_tree_const_iteratorIS2_EDpOT_:
.LFB2550:
	.cfi_startproc
	.cfi_personality 0x9b,DW.ref.__gxx_personality_v0
	.cfi_lsda 0x1b,.LLSDA2550
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%r12
	pushq	%rbx
	subq	$112, %rsp
	.cfi_offset 12, -24
	.cfi_offset 3, -32
	movq	%rdi, -88(%rbp)
	movq	%rsi, -96(%rbp)
	movq	%rdx, -104(%rbp)
	movq	%rcx, -112(%rbp)
	movq	%r8, -120(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -24(%rbp)
	xorl	%eax, %eax
	movq	-120(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardISt5tupleIJEEEOT_RNSt16remove_referenceIS2_E4typeE@PLT
	movq	%rax, %r12
	movq	-112(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardISt5tupleIJRKtEEEOT_RNSt16remove_referenceIS4_E4typeE@PLT
	movq	%rax, %rbx
	movq	-104(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardIRKSt21piecewise_construct_tEOT_RNSt16remove_referenceIS3_E4typeE@PLT
	movq	%rax, %rdx
	movq	-88(%rbp), %rsi
	leaq	-64(%rbp), %rax
	movq	%r12, %r8
	movq	%rbx, %rcx
	movq	%rax, %rdi
.LEHB2:
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeC1IJRKSt21piecewise_construct_tSt5tupleIJRS1_EESE_IJEEEEERS8_DpOT_@PLT
.LEHE2:
	leaq	-64(%rbp), %rax
	movq	%rax, %rdi
.LEHB3:
	call	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node6_M_keyEv@PLT
	movq	%rax, %rdx
	movq	-96(%rbp), %rcx
	movq	-88(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_@PLT
	movq	%rax, -48(%rbp)
	movq	%rdx, -40(%rbp)
	movq	-40(%rbp), %rax
	testq	%rax, %rax
	je	.L123
	movq	-48(%rbp), %rcx
	movq	-40(%rbp), %rdx
	leaq	-64(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node9_M_insertES0_IPSt18_Rb_tree_node_baseSB_E@PLT
.LEHE3:
	movq	%rax, %rbx
	jmp	.L124
.L123:
	movq	-48(%rbp), %rdx
	leaq	-72(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC1EPSt18_Rb_tree_node_base@PLT
	movq	-72(%rbp), %rbx
.L124:
	leaq	-64(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeD1Ev@PLT
	movq	%rbx, %rax
	movq	-24(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L127
	jmp	.L129
.L128:
	movq	%rax, %rbx
	leaq	-64(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeD1Ev@PLT
	movq	%rbx, %rax
	movq	%rax, %rdi
.LEHB4:
	call	_Unwind_Resume@PLT
.LEHE4:
.L129:
	call	__stack_chk_fail@PLT
.L127:
	addq	$112, %rsp
	popq	%rbx
	popq	%r12
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2550:
	.section	.gcc_except_table
.LLSDA2550:
	.byte	0xff
	.byte	0xff
	.byte	0x1
	.uleb128 .LLSDACSE2550-.LLSDACSB2550
.LLSDACSB2550:
	.uleb128 .LEHB2-.LFB2550
	.uleb128 .LEHE2-.LEHB2
	.uleb128 0
	.uleb128 0
	.uleb128 .LEHB3-.LFB2550
	.uleb128 .LEHE3-.LEHB3
	.uleb128 .L128-.LFB2550
	.uleb128 0
	.uleb128 .LEHB4-.LFB2550
	.uleb128 .LEHE4-.LEHB4
	.uleb128 0
	.uleb128 0
.LLSDACSE2550:
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE22_M_emplace_hint_uniqueIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEESt17_Rb_tree_iteratorIS2_ESt23_Rb_tree_const_iteratorIS2_EDpOT_,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE22_M_emplace_hint_uniqueIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEESt17_Rb_tree_iteratorIS2_ESt23_Rb_tree_const_iteratorIS2_EDpOT_,comdat
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE22_M_emplace_hint_uniqueIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEESt17_Rb_tree_iteratorIS2_ESt23_Rb_tree_const_iteratorIS2_EDpOT_, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE22_M_emplace_hint_uniqueIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEESt17_Rb_tree_iteratorIS2_ESt23_Rb_tree_const_iteratorIS2_EDpOT_
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4findERS1_,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4findERS1_,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4findERS1_
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4findERS1_, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4findERS1_:
.LFB2555:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$56, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -56(%rbp)
	movq	%rsi, -64(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -24(%rbp)
	xorl	%eax, %eax
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_M_endEv@PLT
	movq	%rax, %rbx
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_beginEv@PLT
	movq	%rax, %rsi
	movq	-64(%rbp), %rdx
	movq	-56(%rbp), %rax
	movq	%rdx, %rcx
	movq	%rbx, %rdx
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_lower_boundEPSt13_Rb_tree_nodeIS2_EPSt18_Rb_tree_node_baseRS1_@PLT
	movq	%rax, -40(%rbp)
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE3endEv@PLT
	movq	%rax, -32(%rbp)
	leaq	-32(%rbp), %rdx
	leaq	-40(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZSteqRKSt17_Rb_tree_iteratorISt4pairIKtlEES5_@PLT
	testb	%al, %al
	jne	.L131
	movq	-56(%rbp), %rbx
	movq	-40(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base@PLT
	movq	%rax, %rdx
	movq	-64(%rbp), %rax
	movq	%rax, %rsi
	movq	%rbx, %rdi
	call	_ZNKSt4lessItEclERKtS2_@PLT
	testb	%al, %al
	je	.L132
.L131:
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE3endEv@PLT
	jmp	.L134
.L132:
	movq	-40(%rbp), %rax
.L134:
	movq	-24(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L135
	call	__stack_chk_fail@PLT
.L135:
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2555:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4findERS1_, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4findERS1_
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE3endEv,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE3endEv,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE3endEv
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE3endEv, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE3endEv:
.LFB2556:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -24(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -8(%rbp)
	xorl	%eax, %eax
	movq	-24(%rbp), %rax
	leaq	8(%rax), %rdx
	leaq	-16(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC1EPSt18_Rb_tree_node_base@PLT
	movq	-16(%rbp), %rax
	movq	-8(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L138
	call	__stack_chk_fail@PLT
.L138:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2556:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE3endEv, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE3endEv
	.section	.text._ZNSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv,"axG",@progbits,_ZNSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv,comdat
	.align 2
	.weak	_ZNSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv
	.type	_ZNSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv, @function
_ZNSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv:
.LFB2557:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	addq	$32, %rax
	movq	%rax, %rdi
	call	_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2557:
	.size	_ZNSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv, .-_ZNSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv
	.section	.text._ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4sizeEv,"axG",@progbits,_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4sizeEv,comdat
	.align 2
	.weak	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4sizeEv
	.type	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4sizeEv, @function
_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4sizeEv:
.LFB2558:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	40(%rax), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2558:
	.size	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4sizeEv, .-_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4sizeEv
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5clearEv,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5clearEv,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5clearEv
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5clearEv, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5clearEv:
.LFB2559:
	.cfi_startproc
	.cfi_personality 0x9b,DW.ref.__gxx_personality_v0
	.cfi_lsda 0x1b,.LLSDA2559
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_beginEv@PLT
	movq	%rax, %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E@PLT
	movq	-8(%rbp), %rax
	addq	$8, %rax
	movq	%rax, %rdi
	call	_ZNSt15_Rb_tree_header8_M_resetEv@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2559:
	.section	.gcc_except_table
.LLSDA2559:
	.byte	0xff
	.byte	0xff
	.byte	0x1
	.uleb128 .LLSDACSE2559-.LLSDACSB2559
.LLSDACSB2559:
.LLSDACSE2559:
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5clearEv,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5clearEv,comdat
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5clearEv, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5clearEv
	.section	.text._ZNSt16allocator_traitsISaIP12SrsRtpPacketEE9constructIS1_JRKS1_EEEvRS2_PT_DpOT0_,"axG",@progbits,_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE9constructIS1_JRKS1_EEEvRS2_PT_DpOT0_,comdat
	.weak	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE9constructIS1_JRKS1_EEEvRS2_PT_DpOT0_
	.type	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE9constructIS1_JRKS1_EEEvRS2_PT_DpOT0_, @function
_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE9constructIS1_JRKS1_EEEvRS2_PT_DpOT0_:
.LFB2560:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	movq	-24(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardIRKP12SrsRtpPacketEOT_RNSt16remove_referenceIS4_E4typeE@PLT
	movq	%rax, %rdx
	movq	-16(%rbp), %rcx
	movq	-8(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt15__new_allocatorIP12SrsRtpPacketE9constructIS1_JRKS1_EEEvPT_DpOT0_@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2560:
	.size	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE9constructIS1_JRKS1_EEEvRS2_PT_DpOT0_, .-_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE9constructIS1_JRKS1_EEEvRS2_PT_DpOT0_
	.section	.text._ZNSt6vectorIP12SrsRtpPacketSaIS1_EE3endEv,"axG",@progbits,_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE3endEv,comdat
	.align 2
	.weak	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE3endEv
	.type	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE3endEv, @function
_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE3endEv:
.LFB2561:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -24(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -8(%rbp)
	xorl	%eax, %eax
	movq	-24(%rbp), %rax
	leaq	8(%rax), %rdx
	leaq	-16(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZN9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEC1ERKS3_@PLT
	movq	-16(%rbp), %rax
	movq	-8(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L147
	call	__stack_chk_fail@PLT
.L147:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2561:
	.size	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE3endEv, .-_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE3endEv
	.section	.rodata
.LC3:
	.string	"vector::_M_realloc_insert"
	.section	.text._ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_,"axG",@progbits,_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_,comdat
	.align 2
	.weak	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_
	.type	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_, @function
_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_:
.LFB2562:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$104, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -88(%rbp)
	movq	%rsi, -96(%rbp)
	movq	%rdx, -104(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -24(%rbp)
	xorl	%eax, %eax
	movq	-88(%rbp), %rax
	leaq	.LC3(%rip), %rdx
	movl	$1, %esi
	movq	%rax, %rdi
	call	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE12_M_check_lenEmPKc@PLT
	movq	%rax, -72(%rbp)
	movq	-88(%rbp), %rax
	movq	(%rax), %rax
	movq	%rax, -64(%rbp)
	movq	-88(%rbp), %rax
	movq	8(%rax), %rax
	movq	%rax, -56(%rbp)
	movq	-88(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE5beginEv@PLT
	movq	%rax, -80(%rbp)
	leaq	-80(%rbp), %rdx
	leaq	-96(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZN9__gnu_cxxmiIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEENS_17__normal_iteratorIT_T0_E15difference_typeERKSA_SD_@PLT
	movq	%rax, -48(%rbp)
	movq	-88(%rbp), %rax
	movq	-72(%rbp), %rdx
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE11_M_allocateEm@PLT
	movq	%rax, -40(%rbp)
	movq	-40(%rbp), %rax
	movq	%rax, -32(%rbp)
	movq	-104(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardIRKP12SrsRtpPacketEOT_RNSt16remove_referenceIS4_E4typeE@PLT
	movq	%rax, %rdx
	movq	-48(%rbp), %rax
	leaq	0(,%rax,8), %rcx
	movq	-40(%rbp), %rax
	addq	%rax, %rcx
	movq	-88(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE9constructIS1_JRKS1_EEEvRS2_PT_DpOT0_@PLT
	movq	$0, -32(%rbp)
	movq	-88(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv@PLT
	movq	%rax, %rbx
	leaq	-96(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNK9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEE4baseEv@PLT
	movq	(%rax), %rsi
	movq	-40(%rbp), %rdx
	movq	-64(%rbp), %rax
	movq	%rbx, %rcx
	movq	%rax, %rdi
	call	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_relocateEPS1_S4_S4_RS2_@PLT
	movq	%rax, -32(%rbp)
	addq	$8, -32(%rbp)
	movq	-88(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv@PLT
	movq	%rax, %rbx
	leaq	-96(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNK9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEE4baseEv@PLT
	movq	(%rax), %rax
	movq	-32(%rbp), %rdx
	movq	-56(%rbp), %rsi
	movq	%rbx, %rcx
	movq	%rax, %rdi
	call	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_relocateEPS1_S4_S4_RS2_@PLT
	movq	%rax, -32(%rbp)
	movq	-88(%rbp), %rax
	movq	-88(%rbp), %rdx
	movq	16(%rdx), %rdx
	subq	-64(%rbp), %rdx
	sarq	$3, %rdx
	movq	-64(%rbp), %rcx
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE13_M_deallocateEPS1_m@PLT
	movq	-88(%rbp), %rax
	movq	-40(%rbp), %rdx
	movq	%rdx, (%rax)
	movq	-88(%rbp), %rax
	movq	-32(%rbp), %rdx
	movq	%rdx, 8(%rax)
	movq	-72(%rbp), %rax
	leaq	0(,%rax,8), %rdx
	movq	-40(%rbp), %rax
	addq	%rax, %rdx
	movq	-88(%rbp), %rax
	movq	%rdx, 16(%rax)
	nop
	movq	-24(%rbp), %rax
	subq	%fs:40, %rax
	je	.L149
	call	__stack_chk_fail@PLT
.L149:
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2562:
	.size	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_, .-_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11lower_boundERS1_,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11lower_boundERS1_,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11lower_boundERS1_
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11lower_boundERS1_, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11lower_boundERS1_:
.LFB2629:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$24, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -24(%rbp)
	movq	%rsi, -32(%rbp)
	movq	-24(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_M_endEv@PLT
	movq	%rax, %rbx
	movq	-24(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_beginEv@PLT
	movq	%rax, %rsi
	movq	-32(%rbp), %rdx
	movq	-24(%rbp), %rax
	movq	%rdx, %rcx
	movq	%rbx, %rdx
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_lower_boundEPSt13_Rb_tree_nodeIS2_EPSt18_Rb_tree_node_baseRS1_@PLT
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2629:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11lower_boundERS1_, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11lower_boundERS1_
	.section	.text._ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8key_compEv,"axG",@progbits,_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8key_compEv,comdat
	.align 2
	.weak	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8key_compEv
	.type	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8key_compEv, @function
_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8key_compEv:
.LFB2630:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	nop
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2630:
	.size	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8key_compEv, .-_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8key_compEv
	.section	.text._ZNSt11_Tuple_implILm0EJRKtEEC2ES1_,"axG",@progbits,_ZNSt11_Tuple_implILm0EJRKtEEC5ES1_,comdat
	.align 2
	.weak	_ZNSt11_Tuple_implILm0EJRKtEEC2ES1_
	.type	_ZNSt11_Tuple_implILm0EJRKtEEC2ES1_, @function
_ZNSt11_Tuple_implILm0EJRKtEEC2ES1_:
.LFB2632:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	-16(%rbp), %rdx
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt10_Head_baseILm0ERKtLb0EEC2ES1_@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2632:
	.size	_ZNSt11_Tuple_implILm0EJRKtEEC2ES1_, .-_ZNSt11_Tuple_implILm0EJRKtEEC2ES1_
	.weak	_ZNSt11_Tuple_implILm0EJRKtEEC1ES1_
	.set	_ZNSt11_Tuple_implILm0EJRKtEEC1ES1_,_ZNSt11_Tuple_implILm0EJRKtEEC2ES1_
	.section	.text._ZSt7forwardIRKSt21piecewise_construct_tEOT_RNSt16remove_referenceIS3_E4typeE,"axG",@progbits,_ZSt7forwardIRKSt21piecewise_construct_tEOT_RNSt16remove_referenceIS3_E4typeE,comdat
	.weak	_ZSt7forwardIRKSt21piecewise_construct_tEOT_RNSt16remove_referenceIS3_E4typeE
	.type	_ZSt7forwardIRKSt21piecewise_construct_tEOT_RNSt16remove_referenceIS3_E4typeE, @function
_ZSt7forwardIRKSt21piecewise_construct_tEOT_RNSt16remove_referenceIS3_E4typeE:
.LFB2634:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2634:
	.size	_ZSt7forwardIRKSt21piecewise_construct_tEOT_RNSt16remove_referenceIS3_E4typeE, .-_ZSt7forwardIRKSt21piecewise_construct_tEOT_RNSt16remove_referenceIS3_E4typeE
	.section	.text._ZSt7forwardISt5tupleIJRKtEEEOT_RNSt16remove_referenceIS4_E4typeE,"axG",@progbits,_ZSt7forwardISt5tupleIJRKtEEEOT_RNSt16remove_referenceIS4_E4typeE,comdat
	.weak	_ZSt7forwardISt5tupleIJRKtEEEOT_RNSt16remove_referenceIS4_E4typeE
	.type	_ZSt7forwardISt5tupleIJRKtEEEOT_RNSt16remove_referenceIS4_E4typeE, @function
_ZSt7forwardISt5tupleIJRKtEEEOT_RNSt16remove_referenceIS4_E4typeE:
.LFB2635:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2635:
	.size	_ZSt7forwardISt5tupleIJRKtEEEOT_RNSt16remove_referenceIS4_E4typeE, .-_ZSt7forwardISt5tupleIJRKtEEEOT_RNSt16remove_referenceIS4_E4typeE
	.section	.text._ZSt7forwardISt5tupleIJEEEOT_RNSt16remove_referenceIS2_E4typeE,"axG",@progbits,_ZSt7forwardISt5tupleIJEEEOT_RNSt16remove_referenceIS2_E4typeE,comdat
	.weak	_ZSt7forwardISt5tupleIJEEEOT_RNSt16remove_referenceIS2_E4typeE
	.type	_ZSt7forwardISt5tupleIJEEEOT_RNSt16remove_referenceIS2_E4typeE, @function
_ZSt7forwardISt5tupleIJEEEOT_RNSt16remove_referenceIS2_E4typeE:
.LFB2636:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2636:
	.size	_ZSt7forwardISt5tupleIJEEEOT_RNSt16remove_referenceIS2_E4typeE, .-_ZSt7forwardISt5tupleIJEEEOT_RNSt16remove_referenceIS2_E4typeE
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeC2IJRKSt21piecewise_construct_tSt5tupleIJRS1_EESE_IJEEEEERS8_DpOT_,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeC5IJRKSt21piecewise_construct_tSt5tupleIJRS1_EESE_IJEEEEERS8_DpOT_,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeC2IJRKSt21piecewise_construct_tSt5tupleIJRS1_EESE_IJEEEEERS8_DpOT_
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeC2IJRKSt21piecewise_construct_tSt5tupleIJRS1_EESE_IJEEEEERS8_DpOT_, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeC2IJRKSt21piecewise_construct_tSt5tupleIJRS1_EESE_IJEEEEERS8_DpOT_:
.LFB2638:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%r12
	pushq	%rbx
	subq	$48, %rsp
	.cfi_offset 12, -24
	.cfi_offset 3, -32
	movq	%rdi, -24(%rbp)
	movq	%rsi, -32(%rbp)
	movq	%rdx, -40(%rbp)
	movq	%rcx, -48(%rbp)
	movq	%r8, -56(%rbp)
	movq	-24(%rbp), %rax
	movq	-32(%rbp), %rdx
	movq	%rdx, (%rax)
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardISt5tupleIJEEEOT_RNSt16remove_referenceIS2_E4typeE@PLT
	movq	%rax, %r12
	movq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardISt5tupleIJRKtEEEOT_RNSt16remove_referenceIS4_E4typeE@PLT
	movq	%rax, %rbx
	movq	-40(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardIRKSt21piecewise_construct_tEOT_RNSt16remove_referenceIS3_E4typeE@PLT
	movq	%rax, %rsi
	movq	-32(%rbp), %rax
	movq	%r12, %rcx
	movq	%rbx, %rdx
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_create_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEPSt13_Rb_tree_nodeIS2_EDpOT_@PLT
	movq	-24(%rbp), %rdx
	movq	%rax, 8(%rdx)
	nop
	addq	$48, %rsp
	popq	%rbx
	popq	%r12
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2638:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeC2IJRKSt21piecewise_construct_tSt5tupleIJRS1_EESE_IJEEEEERS8_DpOT_, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeC2IJRKSt21piecewise_construct_tSt5tupleIJRS1_EESE_IJEEEEERS8_DpOT_
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeC1IJRKSt21piecewise_construct_tSt5tupleIJRS1_EESE_IJEEEEERS8_DpOT_
	.set	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeC1IJRKSt21piecewise_construct_tSt5tupleIJRS1_EESE_IJEEEEERS8_DpOT_,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeC2IJRKSt21piecewise_construct_tSt5tupleIJRS1_EESE_IJEEEEERS8_DpOT_
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeD2Ev,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeD5Ev,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeD2Ev
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeD2Ev, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeD2Ev:
.LFB2641:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	8(%rax), %rax
	testq	%rax, %rax
	je	.L164
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	movq	-8(%rbp), %rdx
	movq	8(%rdx), %rdx
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_drop_nodeEPSt13_Rb_tree_nodeIS2_E@PLT
.L164:
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2641:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeD2Ev, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeD2Ev
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeD1Ev
	.set	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeD1Ev,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_nodeD2Ev
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_:
.LFB2643:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$104, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -88(%rbp)
	movq	%rsi, -96(%rbp)
	movq	%rdx, -104(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -24(%rbp)
	xorl	%eax, %eax
	leaq	-96(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt23_Rb_tree_const_iteratorISt4pairIKtlEE13_M_const_castEv@PLT
	movq	%rax, -72(%rbp)
	movq	-72(%rbp), %rbx
	movq	-88(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_M_endEv@PLT
	cmpq	%rax, %rbx
	sete	%al
	testb	%al, %al
	je	.L166
	movq	-88(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE4sizeEv@PLT
	testq	%rax, %rax
	je	.L167
	movq	-88(%rbp), %rbx
	movq	-88(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_rightmostEv@PLT
	movq	(%rax), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base@PLT
	movq	%rax, %rcx
	movq	-104(%rbp), %rax
	movq	%rax, %rdx
	movq	%rcx, %rsi
	movq	%rbx, %rdi
	call	_ZNKSt4lessItEclERKtS2_@PLT
	testb	%al, %al
	je	.L167
	movl	$1, %eax
	jmp	.L168
.L167:
	movl	$0, %eax
.L168:
	testb	%al, %al
	je	.L169
	movq	-88(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_rightmostEv@PLT
	movq	%rax, %rdx
	movq	$0, -56(%rbp)
	leaq	-56(%rbp), %rcx
	leaq	-48(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IS1_S1_Lb1EEERKS1_S5_@PLT
	movq	-48(%rbp), %rax
	movq	-40(%rbp), %rdx
	jmp	.L181
.L169:
	movq	-104(%rbp), %rdx
	movq	-88(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_@PLT
	jmp	.L181
.L166:
	movq	-88(%rbp), %rbx
	movq	-72(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base@PLT
	movq	%rax, %rdx
	movq	-104(%rbp), %rax
	movq	%rax, %rsi
	movq	%rbx, %rdi
	call	_ZNKSt4lessItEclERKtS2_@PLT
	testb	%al, %al
	je	.L171
	movq	-72(%rbp), %rax
	movq	%rax, -64(%rbp)
	movq	-72(%rbp), %rbx
	movq	-88(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_leftmostEv@PLT
	movq	(%rax), %rax
	cmpq	%rax, %rbx
	sete	%al
	testb	%al, %al
	je	.L172
	movq	-88(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_leftmostEv@PLT
	movq	%rax, %rbx
	movq	-88(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_leftmostEv@PLT
	movq	%rax, %rcx
	leaq	-48(%rbp), %rax
	movq	%rbx, %rdx
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IRS1_S4_Lb1EEEOT_OT0_@PLT
	movq	-48(%rbp), %rax
	movq	-40(%rbp), %rdx
	jmp	.L181
.L172:
	movq	-88(%rbp), %rbx
	leaq	-64(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEmmEv@PLT
	movq	(%rax), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base@PLT
	movq	%rax, %rcx
	movq	-104(%rbp), %rax
	movq	%rax, %rdx
	movq	%rcx, %rsi
	movq	%rbx, %rdi
	call	_ZNKSt4lessItEclERKtS2_@PLT
	testb	%al, %al
	je	.L174
	movq	-64(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_S_rightEPSt18_Rb_tree_node_base@PLT
	testq	%rax, %rax
	sete	%al
	testb	%al, %al
	je	.L175
	movq	$0, -56(%rbp)
	leaq	-64(%rbp), %rdx
	leaq	-56(%rbp), %rcx
	leaq	-48(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IS1_S1_Lb1EEERKS1_S5_@PLT
	movq	-48(%rbp), %rax
	movq	-40(%rbp), %rdx
	jmp	.L181
.L175:
	leaq	-72(%rbp), %rdx
	leaq	-72(%rbp), %rcx
	leaq	-48(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IRS1_S4_Lb1EEEOT_OT0_@PLT
	movq	-48(%rbp), %rax
	movq	-40(%rbp), %rdx
	jmp	.L181
.L174:
	movq	-104(%rbp), %rdx
	movq	-88(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_@PLT
	jmp	.L181
.L171:
	movq	-88(%rbp), %rbx
	movq	-72(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base@PLT
	movq	%rax, %rcx
	movq	-104(%rbp), %rax
	movq	%rax, %rdx
	movq	%rcx, %rsi
	movq	%rbx, %rdi
	call	_ZNKSt4lessItEclERKtS2_@PLT
	testb	%al, %al
	je	.L176
	movq	-72(%rbp), %rax
	movq	%rax, -64(%rbp)
	movq	-72(%rbp), %rbx
	movq	-88(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_rightmostEv@PLT
	movq	(%rax), %rax
	cmpq	%rax, %rbx
	sete	%al
	testb	%al, %al
	je	.L177
	movq	-88(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_rightmostEv@PLT
	movq	%rax, %rdx
	movq	$0, -56(%rbp)
	leaq	-56(%rbp), %rcx
	leaq	-48(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IS1_S1_Lb1EEERKS1_S5_@PLT
	movq	-48(%rbp), %rax
	movq	-40(%rbp), %rdx
	jmp	.L181
.L177:
	movq	-88(%rbp), %rbx
	leaq	-64(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEppEv@PLT
	movq	(%rax), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base@PLT
	movq	%rax, %rdx
	movq	-104(%rbp), %rax
	movq	%rax, %rsi
	movq	%rbx, %rdi
	call	_ZNKSt4lessItEclERKtS2_@PLT
	testb	%al, %al
	je	.L179
	movq	-72(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_S_rightEPSt18_Rb_tree_node_base@PLT
	testq	%rax, %rax
	sete	%al
	testb	%al, %al
	je	.L180
	movq	$0, -56(%rbp)
	leaq	-72(%rbp), %rdx
	leaq	-56(%rbp), %rcx
	leaq	-48(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IS1_S1_Lb1EEERKS1_S5_@PLT
	movq	-48(%rbp), %rax
	movq	-40(%rbp), %rdx
	jmp	.L181
.L180:
	leaq	-64(%rbp), %rdx
	leaq	-64(%rbp), %rcx
	leaq	-48(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IRS1_S4_Lb1EEEOT_OT0_@PLT
	movq	-48(%rbp), %rax
	movq	-40(%rbp), %rdx
	jmp	.L181
.L179:
	movq	-104(%rbp), %rdx
	movq	-88(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_@PLT
	jmp	.L181
.L176:
	movq	$0, -56(%rbp)
	leaq	-56(%rbp), %rdx
	leaq	-72(%rbp), %rcx
	leaq	-48(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IS1_S1_Lb1EEERKS1_S5_@PLT
	movq	-48(%rbp), %rax
	movq	-40(%rbp), %rdx
.L181:
	movq	-24(%rbp), %rcx
	subq	%fs:40, %rcx
	je	.L182
	call	__stack_chk_fail@PLT
.L182:
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2643:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE29_M_get_insert_hint_unique_posESt23_Rb_tree_const_iteratorIS2_ERS1_
	.section	.text._ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node6_M_keyEv,"axG",@progbits,_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node6_M_keyEv,comdat
	.align 2
	.weak	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node6_M_keyEv
	.type	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node6_M_keyEv, @function
_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node6_M_keyEv:
.LFB2652:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	8(%rax), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt13_Rb_tree_nodeIS2_E@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2652:
	.size	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node6_M_keyEv, .-_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node6_M_keyEv
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node9_M_insertES0_IPSt18_Rb_tree_node_baseSB_E,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node9_M_insertES0_IPSt18_Rb_tree_node_baseSB_E,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node9_M_insertES0_IPSt18_Rb_tree_node_baseSB_E
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node9_M_insertES0_IPSt18_Rb_tree_node_baseSB_E, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node9_M_insertES0_IPSt18_Rb_tree_node_baseSB_E:
.LFB2653:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$48, %rsp
	movq	%rdi, -24(%rbp)
	movq	%rdx, %rcx
	movq	%rsi, %rax
	movq	%rdi, %rdx
	movq	%rcx, %rdx
	movq	%rax, -48(%rbp)
	movq	%rdx, -40(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -8(%rbp)
	xorl	%eax, %eax
	movq	-24(%rbp), %rax
	movq	(%rax), %rax
	movq	-24(%rbp), %rdx
	movq	8(%rdx), %rcx
	movq	-40(%rbp), %rdx
	movq	-48(%rbp), %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_insert_nodeEPSt18_Rb_tree_node_baseSA_PSt13_Rb_tree_nodeIS2_E@PLT
	movq	%rax, -16(%rbp)
	movq	-24(%rbp), %rax
	movq	$0, 8(%rax)
	movq	-16(%rbp), %rax
	movq	-8(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L187
	call	__stack_chk_fail@PLT
.L187:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2653:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node9_M_insertES0_IPSt18_Rb_tree_node_baseSB_E, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE10_Auto_node9_M_insertES0_IPSt18_Rb_tree_node_baseSB_E
	.section	.text._ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC2EPSt18_Rb_tree_node_base,"axG",@progbits,_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC5EPSt18_Rb_tree_node_base,comdat
	.align 2
	.weak	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC2EPSt18_Rb_tree_node_base
	.type	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC2EPSt18_Rb_tree_node_base, @function
_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC2EPSt18_Rb_tree_node_base:
.LFB2655:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	-16(%rbp), %rdx
	movq	%rdx, (%rax)
	nop
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2655:
	.size	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC2EPSt18_Rb_tree_node_base, .-_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC2EPSt18_Rb_tree_node_base
	.weak	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC1EPSt18_Rb_tree_node_base
	.set	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC1EPSt18_Rb_tree_node_base,_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC2EPSt18_Rb_tree_node_base
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_beginEv,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_beginEv,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_beginEv
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_beginEv, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_beginEv:
.LFB2657:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE9_M_mbeginEv@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2657:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_beginEv, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_beginEv
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_M_endEv,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_M_endEv,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_M_endEv
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_M_endEv, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_M_endEv:
.LFB2658:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	addq	$8, %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2658:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_M_endEv, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_M_endEv
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_lower_boundEPSt13_Rb_tree_nodeIS2_EPSt18_Rb_tree_node_baseRS1_,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_lower_boundEPSt13_Rb_tree_nodeIS2_EPSt18_Rb_tree_node_baseRS1_,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_lower_boundEPSt13_Rb_tree_nodeIS2_EPSt18_Rb_tree_node_baseRS1_
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_lower_boundEPSt13_Rb_tree_nodeIS2_EPSt18_Rb_tree_node_baseRS1_, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_lower_boundEPSt13_Rb_tree_nodeIS2_EPSt18_Rb_tree_node_baseRS1_:
.LFB2659:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$56, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -40(%rbp)
	movq	%rsi, -48(%rbp)
	movq	%rdx, -56(%rbp)
	movq	%rcx, -64(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -24(%rbp)
	xorl	%eax, %eax
	jmp	.L194
.L196:
	movq	-40(%rbp), %rbx
	movq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt13_Rb_tree_nodeIS2_E@PLT
	movq	%rax, %rcx
	movq	-64(%rbp), %rax
	movq	%rax, %rdx
	movq	%rcx, %rsi
	movq	%rbx, %rdi
	call	_ZNKSt4lessItEclERKtS2_@PLT
	xorl	$1, %eax
	testb	%al, %al
	je	.L195
	movq	-48(%rbp), %rax
	movq	%rax, -56(%rbp)
	movq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE7_S_leftEPSt18_Rb_tree_node_base@PLT
	movq	%rax, -48(%rbp)
	jmp	.L194
.L195:
	movq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_S_rightEPSt18_Rb_tree_node_base@PLT
	movq	%rax, -48(%rbp)
.L194:
	cmpq	$0, -48(%rbp)
	jne	.L196
	movq	-56(%rbp), %rdx
	leaq	-32(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC1EPSt18_Rb_tree_node_base@PLT
	movq	-32(%rbp), %rax
	movq	-24(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L198
	call	__stack_chk_fail@PLT
.L198:
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2659:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_lower_boundEPSt13_Rb_tree_nodeIS2_EPSt18_Rb_tree_node_baseRS1_, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_lower_boundEPSt13_Rb_tree_nodeIS2_EPSt18_Rb_tree_node_baseRS1_
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base,comdat
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base:
.LFB2660:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt13_Rb_tree_nodeIS2_E@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2660:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base
	.section	.text._ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv,"axG",@progbits,_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv,comdat
	.align 2
	.weak	_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv
	.type	_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv, @function
_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv:
.LFB2661:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2661:
	.size	_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv, .-_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E:
.LFB2662:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -24(%rbp)
	movq	%rsi, -32(%rbp)
	jmp	.L204
.L205:
	movq	-32(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_S_rightEPSt18_Rb_tree_node_base@PLT
	movq	%rax, %rdx
	movq	-24(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E@PLT
	movq	-32(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE7_S_leftEPSt18_Rb_tree_node_base@PLT
	movq	%rax, -8(%rbp)
	movq	-32(%rbp), %rdx
	movq	-24(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_drop_nodeEPSt13_Rb_tree_nodeIS2_E@PLT
	movq	-8(%rbp), %rax
	movq	%rax, -32(%rbp)
.L204:
	cmpq	$0, -32(%rbp)
	jne	.L205
	nop
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2662:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_eraseEPSt13_Rb_tree_nodeIS2_E
	.section	.text._ZSt7forwardIRKP12SrsRtpPacketEOT_RNSt16remove_referenceIS4_E4typeE,"axG",@progbits,_ZSt7forwardIRKP12SrsRtpPacketEOT_RNSt16remove_referenceIS4_E4typeE,comdat
	.weak	_ZSt7forwardIRKP12SrsRtpPacketEOT_RNSt16remove_referenceIS4_E4typeE
	.type	_ZSt7forwardIRKP12SrsRtpPacketEOT_RNSt16remove_referenceIS4_E4typeE, @function
_ZSt7forwardIRKP12SrsRtpPacketEOT_RNSt16remove_referenceIS4_E4typeE:
.LFB2663:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2663:
	.size	_ZSt7forwardIRKP12SrsRtpPacketEOT_RNSt16remove_referenceIS4_E4typeE, .-_ZSt7forwardIRKP12SrsRtpPacketEOT_RNSt16remove_referenceIS4_E4typeE
	.section	.text._ZNSt15__new_allocatorIP12SrsRtpPacketE9constructIS1_JRKS1_EEEvPT_DpOT0_,"axG",@progbits,_ZNSt15__new_allocatorIP12SrsRtpPacketE9constructIS1_JRKS1_EEEvPT_DpOT0_,comdat
	.align 2
	.weak	_ZNSt15__new_allocatorIP12SrsRtpPacketE9constructIS1_JRKS1_EEEvPT_DpOT0_
	.type	_ZNSt15__new_allocatorIP12SrsRtpPacketE9constructIS1_JRKS1_EEEvPT_DpOT0_, @function
_ZNSt15__new_allocatorIP12SrsRtpPacketE9constructIS1_JRKS1_EEEvPT_DpOT0_:
.LFB2664:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$40, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -24(%rbp)
	movq	%rsi, -32(%rbp)
	movq	%rdx, -40(%rbp)
	movq	-32(%rbp), %rax
	movq	%rax, %rsi
	movl	$8, %edi
	call	_ZnwmPv@PLT
	movq	%rax, %rbx
	movq	-40(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardIRKP12SrsRtpPacketEOT_RNSt16remove_referenceIS4_E4typeE@PLT
	movq	(%rax), %rax
	movq	%rax, (%rbx)
	nop
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2664:
	.size	_ZNSt15__new_allocatorIP12SrsRtpPacketE9constructIS1_JRKS1_EEEvPT_DpOT0_, .-_ZNSt15__new_allocatorIP12SrsRtpPacketE9constructIS1_JRKS1_EEEvPT_DpOT0_
	.section	.text._ZN9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEC2ERKS3_,"axG",@progbits,_ZN9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEC5ERKS3_,comdat
	.align 2
	.weak	_ZN9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEC2ERKS3_
	.type	_ZN9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEC2ERKS3_, @function
_ZN9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEC2ERKS3_:
.LFB2666:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-16(%rbp), %rax
	movq	(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, (%rax)
	nop
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2666:
	.size	_ZN9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEC2ERKS3_, .-_ZN9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEC2ERKS3_
	.weak	_ZN9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEC1ERKS3_
	.set	_ZN9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEC1ERKS3_,_ZN9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEC2ERKS3_
	.section	.text._ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE12_M_check_lenEmPKc,"axG",@progbits,_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE12_M_check_lenEmPKc,comdat
	.align 2
	.weak	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE12_M_check_lenEmPKc
	.type	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE12_M_check_lenEmPKc, @function
_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE12_M_check_lenEmPKc:
.LFB2668:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$72, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -56(%rbp)
	movq	%rsi, -64(%rbp)
	movq	%rdx, -72(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -24(%rbp)
	xorl	%eax, %eax
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE8max_sizeEv@PLT
	movq	%rax, %rbx
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE4sizeEv@PLT
	subq	%rax, %rbx
	movq	%rbx, %rdx
	movq	-64(%rbp), %rax
	cmpq	%rax, %rdx
	setb	%al
	testb	%al, %al
	je	.L211
	movq	-72(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt20__throw_length_errorPKc@PLT
.L211:
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE4sizeEv@PLT
	movq	%rax, %rbx
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE4sizeEv@PLT
	movq	%rax, -40(%rbp)
	leaq	-64(%rbp), %rdx
	leaq	-40(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZSt3maxImERKT_S2_S2_@PLT
	movq	(%rax), %rax
	addq	%rbx, %rax
	movq	%rax, -32(%rbp)
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE4sizeEv@PLT
	cmpq	%rax, -32(%rbp)
	jb	.L212
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE8max_sizeEv@PLT
	cmpq	-32(%rbp), %rax
	jnb	.L213
.L212:
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE8max_sizeEv@PLT
	jmp	.L214
.L213:
	movq	-32(%rbp), %rax
.L214:
	movq	-24(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L216
	call	__stack_chk_fail@PLT
.L216:
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2668:
	.size	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE12_M_check_lenEmPKc, .-_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE12_M_check_lenEmPKc
	.section	.text._ZNSt6vectorIP12SrsRtpPacketSaIS1_EE5beginEv,"axG",@progbits,_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE5beginEv,comdat
	.align 2
	.weak	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE5beginEv
	.type	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE5beginEv, @function
_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE5beginEv:
.LFB2669:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -24(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -8(%rbp)
	xorl	%eax, %eax
	movq	-24(%rbp), %rdx
	leaq	-16(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZN9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEC1ERKS3_@PLT
	movq	-16(%rbp), %rax
	movq	-8(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L219
	call	__stack_chk_fail@PLT
.L219:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2669:
	.size	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE5beginEv, .-_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE5beginEv
	.section	.text._ZN9__gnu_cxxmiIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEENS_17__normal_iteratorIT_T0_E15difference_typeERKSA_SD_,"axG",@progbits,_ZN9__gnu_cxxmiIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEENS_17__normal_iteratorIT_T0_E15difference_typeERKSA_SD_,comdat
	.weak	_ZN9__gnu_cxxmiIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEENS_17__normal_iteratorIT_T0_E15difference_typeERKSA_SD_
	.type	_ZN9__gnu_cxxmiIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEENS_17__normal_iteratorIT_T0_E15difference_typeERKSA_SD_, @function
_ZN9__gnu_cxxmiIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEENS_17__normal_iteratorIT_T0_E15difference_typeERKSA_SD_:
.LFB2670:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$24, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -24(%rbp)
	movq	%rsi, -32(%rbp)
	movq	-24(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNK9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEE4baseEv@PLT
	movq	(%rax), %rbx
	movq	-32(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNK9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEE4baseEv@PLT
	movq	(%rax), %rax
	movq	%rbx, %rdx
	subq	%rax, %rdx
	movq	%rdx, %rax
	sarq	$3, %rax
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2670:
	.size	_ZN9__gnu_cxxmiIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEENS_17__normal_iteratorIT_T0_E15difference_typeERKSA_SD_, .-_ZN9__gnu_cxxmiIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEEENS_17__normal_iteratorIT_T0_E15difference_typeERKSA_SD_
	.section	.text._ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE11_M_allocateEm,"axG",@progbits,_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE11_M_allocateEm,comdat
	.align 2
	.weak	_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE11_M_allocateEm
	.type	_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE11_M_allocateEm, @function
_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE11_M_allocateEm:
.LFB2671:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	cmpq	$0, -16(%rbp)
	je	.L223
	movq	-8(%rbp), %rax
	movq	-16(%rbp), %rdx
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8allocateERS2_m@PLT
	jmp	.L225
.L223:
	movl	$0, %eax
.L225:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2671:
	.size	_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE11_M_allocateEm, .-_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE11_M_allocateEm
	.section	.text._ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_relocateEPS1_S4_S4_RS2_,"axG",@progbits,_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_relocateEPS1_S4_S4_RS2_,comdat
	.weak	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_relocateEPS1_S4_S4_RS2_
	.type	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_relocateEPS1_S4_S4_RS2_, @function
_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_relocateEPS1_S4_S4_RS2_:
.LFB2672:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	movq	%rcx, -32(%rbp)
	movq	-32(%rbp), %rcx
	movq	-24(%rbp), %rdx
	movq	-16(%rbp), %rsi
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt12__relocate_aIPP12SrsRtpPacketS2_SaIS1_EET0_T_S5_S4_RT1_@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2672:
	.size	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_relocateEPS1_S4_S4_RS2_, .-_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_relocateEPS1_S4_S4_RS2_
	.section	.text._ZNK9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEE4baseEv,"axG",@progbits,_ZNK9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEE4baseEv,comdat
	.align 2
	.weak	_ZNK9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEE4baseEv
	.type	_ZNK9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEE4baseEv, @function
_ZNK9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEE4baseEv:
.LFB2673:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2673:
	.size	_ZNK9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEE4baseEv, .-_ZNK9__gnu_cxx17__normal_iteratorIPP12SrsRtpPacketSt6vectorIS2_SaIS2_EEE4baseEv
	.section	.text._ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv,"axG",@progbits,_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv,comdat
	.align 2
	.weak	_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv
	.type	_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv, @function
_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv:
.LFB2674:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2674:
	.size	_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv, .-_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv
	.section	.text._ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE13_M_deallocateEPS1_m,"axG",@progbits,_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE13_M_deallocateEPS1_m,comdat
	.align 2
	.weak	_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE13_M_deallocateEPS1_m
	.type	_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE13_M_deallocateEPS1_m, @function
_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE13_M_deallocateEPS1_m:
.LFB2677:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	cmpq	$0, -16(%rbp)
	je	.L234
	movq	-8(%rbp), %rax
	movq	-24(%rbp), %rdx
	movq	-16(%rbp), %rcx
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE10deallocateERS2_PS1_m@PLT
.L234:
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2677:
	.size	_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE13_M_deallocateEPS1_m, .-_ZNSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE13_M_deallocateEPS1_m
	.section	.text._ZNSt10_Head_baseILm0ERKtLb0EEC2ES1_,"axG",@progbits,_ZNSt10_Head_baseILm0ERKtLb0EEC5ES1_,comdat
	.align 2
	.weak	_ZNSt10_Head_baseILm0ERKtLb0EEC2ES1_
	.type	_ZNSt10_Head_baseILm0ERKtLb0EEC2ES1_, @function
_ZNSt10_Head_baseILm0ERKtLb0EEC2ES1_:
.LFB2729:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	-16(%rbp), %rdx
	movq	%rdx, (%rax)
	nop
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2729:
	.size	_ZNSt10_Head_baseILm0ERKtLb0EEC2ES1_, .-_ZNSt10_Head_baseILm0ERKtLb0EEC2ES1_
	.weak	_ZNSt10_Head_baseILm0ERKtLb0EEC1ES1_
	.set	_ZNSt10_Head_baseILm0ERKtLb0EEC1ES1_,_ZNSt10_Head_baseILm0ERKtLb0EEC2ES1_
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_create_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEPSt13_Rb_tree_nodeIS2_EDpOT_,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_create_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEPSt13_Rb_tree_nodeIS2_EDpOT_,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_create_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEPSt13_Rb_tree_nodeIS2_EDpOT_
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_create_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEPSt13_Rb_tree_nodeIS2_EDpOT_, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_create_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEPSt13_Rb_tree_nodeIS2_EDpOT_:
.LFB2731:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%r12
	pushq	%rbx
	subq	$48, %rsp
	.cfi_offset 12, -24
	.cfi_offset 3, -32
	movq	%rdi, -40(%rbp)
	movq	%rsi, -48(%rbp)
	movq	%rdx, -56(%rbp)
	movq	%rcx, -64(%rbp)
	movq	-40(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_get_nodeEv@PLT
	movq	%rax, -24(%rbp)
	movq	-64(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardISt5tupleIJEEEOT_RNSt16remove_referenceIS2_E4typeE@PLT
	movq	%rax, %r12
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardISt5tupleIJRKtEEEOT_RNSt16remove_referenceIS4_E4typeE@PLT
	movq	%rax, %rbx
	movq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardIRKSt21piecewise_construct_tEOT_RNSt16remove_referenceIS3_E4typeE@PLT
	movq	%rax, %rdx
	movq	-24(%rbp), %rsi
	movq	-40(%rbp), %rax
	movq	%r12, %r8
	movq	%rbx, %rcx
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE17_M_construct_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEvPSt13_Rb_tree_nodeIS2_EDpOT_@PLT
	movq	-24(%rbp), %rax
	addq	$48, %rsp
	popq	%rbx
	popq	%r12
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2731:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_create_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEPSt13_Rb_tree_nodeIS2_EDpOT_, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_create_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEPSt13_Rb_tree_nodeIS2_EDpOT_
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_drop_nodeEPSt13_Rb_tree_nodeIS2_E,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_drop_nodeEPSt13_Rb_tree_nodeIS2_E,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_drop_nodeEPSt13_Rb_tree_nodeIS2_E
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_drop_nodeEPSt13_Rb_tree_nodeIS2_E, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_drop_nodeEPSt13_Rb_tree_nodeIS2_E:
.LFB2732:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-16(%rbp), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE15_M_destroy_nodeEPSt13_Rb_tree_nodeIS2_E@PLT
	movq	-16(%rbp), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_put_nodeEPSt13_Rb_tree_nodeIS2_E@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2732:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_drop_nodeEPSt13_Rb_tree_nodeIS2_E, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_drop_nodeEPSt13_Rb_tree_nodeIS2_E
	.section	.text._ZNKSt23_Rb_tree_const_iteratorISt4pairIKtlEE13_M_const_castEv,"axG",@progbits,_ZNKSt23_Rb_tree_const_iteratorISt4pairIKtlEE13_M_const_castEv,comdat
	.align 2
	.weak	_ZNKSt23_Rb_tree_const_iteratorISt4pairIKtlEE13_M_const_castEv
	.type	_ZNKSt23_Rb_tree_const_iteratorISt4pairIKtlEE13_M_const_castEv, @function
_ZNKSt23_Rb_tree_const_iteratorISt4pairIKtlEE13_M_const_castEv:
.LFB2733:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -24(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -8(%rbp)
	xorl	%eax, %eax
	movq	-24(%rbp), %rax
	movq	(%rax), %rdx
	leaq	-16(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC1EPSt18_Rb_tree_node_base@PLT
	movq	-16(%rbp), %rax
	movq	-8(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L241
	call	__stack_chk_fail@PLT
.L241:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2733:
	.size	_ZNKSt23_Rb_tree_const_iteratorISt4pairIKtlEE13_M_const_castEv, .-_ZNKSt23_Rb_tree_const_iteratorISt4pairIKtlEE13_M_const_castEv
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_rightmostEv,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_rightmostEv,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_rightmostEv
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_rightmostEv, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_rightmostEv:
.LFB2734:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	addq	$32, %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2734:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_rightmostEv, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE12_M_rightmostEv
	.section	.text._ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IS1_S1_Lb1EEERKS1_S5_,"axG",@progbits,_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC5IS1_S1_Lb1EEERKS1_S5_,comdat
	.align 2
	.weak	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IS1_S1_Lb1EEERKS1_S5_
	.type	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IS1_S1_Lb1EEERKS1_S5_, @function
_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IS1_S1_Lb1EEERKS1_S5_:
.LFB2736:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	movq	-16(%rbp), %rax
	movq	(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, (%rax)
	movq	-24(%rbp), %rax
	movq	(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, 8(%rax)
	nop
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2736:
	.size	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IS1_S1_Lb1EEERKS1_S5_, .-_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IS1_S1_Lb1EEERKS1_S5_
	.weak	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IS1_S1_Lb1EEERKS1_S5_
	.set	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IS1_S1_Lb1EEERKS1_S5_,_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IS1_S1_Lb1EEERKS1_S5_
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_:
.LFB2738:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$104, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -104(%rbp)
	movq	%rsi, -112(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -24(%rbp)
	xorl	%eax, %eax
	movq	-104(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_M_beginEv@PLT
	movq	%rax, -80(%rbp)
	movq	-104(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_M_endEv@PLT
	movq	%rax, -72(%rbp)
	movb	$1, -81(%rbp)
	jmp	.L246
.L249:
	movq	-80(%rbp), %rax
	movq	%rax, -72(%rbp)
	movq	-104(%rbp), %rbx
	movq	-80(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt13_Rb_tree_nodeIS2_E@PLT
	movq	%rax, %rdx
	movq	-112(%rbp), %rax
	movq	%rax, %rsi
	movq	%rbx, %rdi
	call	_ZNKSt4lessItEclERKtS2_@PLT
	movb	%al, -81(%rbp)
	cmpb	$0, -81(%rbp)
	je	.L247
	movq	-80(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE7_S_leftEPSt18_Rb_tree_node_base@PLT
	jmp	.L248
.L247:
	movq	-80(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_S_rightEPSt18_Rb_tree_node_base@PLT
.L248:
	movq	%rax, -80(%rbp)
.L246:
	movq	-80(%rbp), %rax
	testq	%rax, %rax
	jne	.L249
	movq	-72(%rbp), %rdx
	leaq	-64(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC1EPSt18_Rb_tree_node_base@PLT
	cmpb	$0, -81(%rbp)
	je	.L250
	movq	-104(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5beginEv@PLT
	movq	%rax, -48(%rbp)
	leaq	-48(%rbp), %rdx
	leaq	-64(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZSteqRKSt17_Rb_tree_iteratorISt4pairIKtlEES5_@PLT
	testb	%al, %al
	je	.L251
	leaq	-72(%rbp), %rdx
	leaq	-80(%rbp), %rcx
	leaq	-48(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IRPSt13_Rb_tree_nodeIS_IKtlEERS1_Lb1EEEOT_OT0_@PLT
	movq	-48(%rbp), %rax
	movq	-40(%rbp), %rdx
	jmp	.L254
.L251:
	leaq	-64(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEmmEv@PLT
.L250:
	movq	-104(%rbp), %rbx
	movq	-64(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base@PLT
	movq	%rax, %rcx
	movq	-112(%rbp), %rax
	movq	%rax, %rdx
	movq	%rcx, %rsi
	movq	%rbx, %rdi
	call	_ZNKSt4lessItEclERKtS2_@PLT
	testb	%al, %al
	je	.L253
	leaq	-72(%rbp), %rdx
	leaq	-80(%rbp), %rcx
	leaq	-48(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IRPSt13_Rb_tree_nodeIS_IKtlEERS1_Lb1EEEOT_OT0_@PLT
	movq	-48(%rbp), %rax
	movq	-40(%rbp), %rdx
	jmp	.L254
.L253:
	movq	$0, -56(%rbp)
	leaq	-56(%rbp), %rdx
	leaq	-64(%rbp), %rcx
	leaq	-48(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IS1_S1_Lb1EEERKS1_S5_@PLT
	movq	-48(%rbp), %rax
	movq	-40(%rbp), %rdx
.L254:
	movq	-24(%rbp), %rcx
	subq	%fs:40, %rcx
	je	.L255
	call	__stack_chk_fail@PLT
.L255:
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2738:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE24_M_get_insert_unique_posERS1_
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_leftmostEv,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_leftmostEv,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_leftmostEv
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_leftmostEv, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_leftmostEv:
.LFB2741:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	addq	$24, %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2741:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_leftmostEv, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_leftmostEv
	.section	.text._ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRS1_S4_Lb1EEEOT_OT0_,"axG",@progbits,_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC5IRS1_S4_Lb1EEEOT_OT0_,comdat
	.align 2
	.weak	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRS1_S4_Lb1EEEOT_OT0_
	.type	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRS1_S4_Lb1EEEOT_OT0_, @function
_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRS1_S4_Lb1EEEOT_OT0_:
.LFB2743:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	movq	-16(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardIRPSt18_Rb_tree_node_baseEOT_RNSt16remove_referenceIS3_E4typeE@PLT
	movq	(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, (%rax)
	movq	-24(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardIRPSt18_Rb_tree_node_baseEOT_RNSt16remove_referenceIS3_E4typeE@PLT
	movq	(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, 8(%rax)
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2743:
	.size	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRS1_S4_Lb1EEEOT_OT0_, .-_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRS1_S4_Lb1EEEOT_OT0_
	.weak	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IRS1_S4_Lb1EEEOT_OT0_
	.set	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IRS1_S4_Lb1EEEOT_OT0_,_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRS1_S4_Lb1EEEOT_OT0_
	.section	.text._ZNSt17_Rb_tree_iteratorISt4pairIKtlEEmmEv,"axG",@progbits,_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEmmEv,comdat
	.align 2
	.weak	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEmmEv
	.type	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEmmEv, @function
_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEmmEv:
.LFB2745:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	movq	%rax, %rdi
	call	_ZSt18_Rb_tree_decrementPSt18_Rb_tree_node_base@PLT
	movq	-8(%rbp), %rdx
	movq	%rax, (%rdx)
	movq	-8(%rbp), %rax
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2745:
	.size	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEmmEv, .-_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEmmEv
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_S_rightEPSt18_Rb_tree_node_base,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_S_rightEPSt18_Rb_tree_node_base,comdat
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_S_rightEPSt18_Rb_tree_node_base
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_S_rightEPSt18_Rb_tree_node_base, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_S_rightEPSt18_Rb_tree_node_base:
.LFB2746:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	24(%rax), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2746:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_S_rightEPSt18_Rb_tree_node_base, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE8_S_rightEPSt18_Rb_tree_node_base
	.section	.text._ZNSt17_Rb_tree_iteratorISt4pairIKtlEEppEv,"axG",@progbits,_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEppEv,comdat
	.align 2
	.weak	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEppEv
	.type	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEppEv, @function
_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEppEv:
.LFB2747:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	movq	%rax, %rdi
	call	_ZSt18_Rb_tree_incrementPSt18_Rb_tree_node_base@PLT
	movq	-8(%rbp), %rdx
	movq	%rax, (%rdx)
	movq	-8(%rbp), %rax
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2747:
	.size	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEppEv, .-_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEppEv
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt13_Rb_tree_nodeIS2_E,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt13_Rb_tree_nodeIS2_E,comdat
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt13_Rb_tree_nodeIS2_E
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt13_Rb_tree_nodeIS2_E, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt13_Rb_tree_nodeIS2_E:
.LFB2748:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -24(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -8(%rbp)
	xorl	%eax, %eax
	movq	-24(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv@PLT
	movq	%rax, %rdx
	leaq	-9(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNKSt10_Select1stISt4pairIKtlEEclERKS2_@PLT
	movq	-8(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L267
	call	__stack_chk_fail@PLT
.L267:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2748:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt13_Rb_tree_nodeIS2_E, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt13_Rb_tree_nodeIS2_E
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_insert_nodeEPSt18_Rb_tree_node_baseSA_PSt13_Rb_tree_nodeIS2_E,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_insert_nodeEPSt18_Rb_tree_node_baseSA_PSt13_Rb_tree_nodeIS2_E,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_insert_nodeEPSt18_Rb_tree_node_baseSA_PSt13_Rb_tree_nodeIS2_E
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_insert_nodeEPSt18_Rb_tree_node_baseSA_PSt13_Rb_tree_nodeIS2_E, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_insert_nodeEPSt18_Rb_tree_node_baseSA_PSt13_Rb_tree_nodeIS2_E:
.LFB2750:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%r12
	pushq	%rbx
	subq	$64, %rsp
	.cfi_offset 12, -24
	.cfi_offset 3, -32
	movq	%rdi, -56(%rbp)
	movq	%rsi, -64(%rbp)
	movq	%rdx, -72(%rbp)
	movq	%rcx, -80(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -24(%rbp)
	xorl	%eax, %eax
	cmpq	$0, -64(%rbp)
	jne	.L269
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_M_endEv@PLT
	cmpq	%rax, -72(%rbp)
	je	.L269
	movq	-56(%rbp), %rbx
	movq	-72(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt18_Rb_tree_node_base@PLT
	movq	%rax, %r12
	movq	-80(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE6_S_keyEPKSt13_Rb_tree_nodeIS2_E@PLT
	movq	%r12, %rdx
	movq	%rax, %rsi
	movq	%rbx, %rdi
	call	_ZNKSt4lessItEclERKtS2_@PLT
	testb	%al, %al
	je	.L270
.L269:
	movl	$1, %eax
	jmp	.L271
.L270:
	movl	$0, %eax
.L271:
	movb	%al, -33(%rbp)
	movq	-56(%rbp), %rax
	leaq	8(%rax), %rcx
	movzbl	-33(%rbp), %eax
	movq	-72(%rbp), %rdx
	movq	-80(%rbp), %rsi
	movl	%eax, %edi
	call	_ZSt29_Rb_tree_insert_and_rebalancebPSt18_Rb_tree_node_baseS0_RS_@PLT
	movq	-56(%rbp), %rax
	movq	40(%rax), %rax
	leaq	1(%rax), %rdx
	movq	-56(%rbp), %rax
	movq	%rdx, 40(%rax)
	movq	-80(%rbp), %rdx
	leaq	-32(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC1EPSt18_Rb_tree_node_base@PLT
	movq	-32(%rbp), %rax
	movq	-24(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L273
	call	__stack_chk_fail@PLT
.L273:
	addq	$64, %rsp
	popq	%rbx
	popq	%r12
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2750:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_insert_nodeEPSt18_Rb_tree_node_baseSA_PSt13_Rb_tree_nodeIS2_E, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE14_M_insert_nodeEPSt18_Rb_tree_node_baseSA_PSt13_Rb_tree_nodeIS2_E
	.section	.text._ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE9_M_mbeginEv,"axG",@progbits,_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE9_M_mbeginEv,comdat
	.align 2
	.weak	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE9_M_mbeginEv
	.type	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE9_M_mbeginEv, @function
_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE9_M_mbeginEv:
.LFB2751:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	16(%rax), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2751:
	.size	_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE9_M_mbeginEv, .-_ZNKSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE9_M_mbeginEv
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE7_S_leftEPSt18_Rb_tree_node_base,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE7_S_leftEPSt18_Rb_tree_node_base,comdat
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE7_S_leftEPSt18_Rb_tree_node_base
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE7_S_leftEPSt18_Rb_tree_node_base, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE7_S_leftEPSt18_Rb_tree_node_base:
.LFB2752:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	16(%rax), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2752:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE7_S_leftEPSt18_Rb_tree_node_base, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE7_S_leftEPSt18_Rb_tree_node_base
	.section	.text._ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv,"axG",@progbits,_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv,comdat
	.align 2
	.weak	_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv
	.type	_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv, @function
_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv:
.LFB2753:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2753:
	.size	_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv, .-_ZN9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv
	.section	.text._ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE8max_sizeEv,"axG",@progbits,_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE8max_sizeEv,comdat
	.align 2
	.weak	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE8max_sizeEv
	.type	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE8max_sizeEv, @function
_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE8max_sizeEv:
.LFB2754:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv@PLT
	movq	%rax, %rdi
	call	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_max_sizeERKS2_@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2754:
	.size	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE8max_sizeEv, .-_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE8max_sizeEv
	.section	.text._ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE4sizeEv,"axG",@progbits,_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE4sizeEv,comdat
	.align 2
	.weak	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE4sizeEv
	.type	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE4sizeEv, @function
_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE4sizeEv:
.LFB2755:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	8(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	subq	%rax, %rdx
	movq	%rdx, %rax
	sarq	$3, %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2755:
	.size	_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE4sizeEv, .-_ZNKSt6vectorIP12SrsRtpPacketSaIS1_EE4sizeEv
	.section	.text._ZSt3maxImERKT_S2_S2_,"axG",@progbits,_ZSt3maxImERKT_S2_S2_,comdat
	.weak	_ZSt3maxImERKT_S2_S2_
	.type	_ZSt3maxImERKT_S2_S2_, @function
_ZSt3maxImERKT_S2_S2_:
.LFB2756:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	(%rax), %rdx
	movq	-16(%rbp), %rax
	movq	(%rax), %rax
	cmpq	%rax, %rdx
	jnb	.L285
	movq	-16(%rbp), %rax
	jmp	.L286
.L285:
	movq	-8(%rbp), %rax
.L286:
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2756:
	.size	_ZSt3maxImERKT_S2_S2_, .-_ZSt3maxImERKT_S2_S2_
	.section	.text._ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8allocateERS2_m,"axG",@progbits,_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8allocateERS2_m,comdat
	.weak	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8allocateERS2_m
	.type	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8allocateERS2_m, @function
_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8allocateERS2_m:
.LFB2757:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-16(%rbp), %rcx
	movq	-8(%rbp), %rax
	movl	$0, %edx
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt15__new_allocatorIP12SrsRtpPacketE8allocateEmPKv@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2757:
	.size	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8allocateERS2_m, .-_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8allocateERS2_m
	.section	.text._ZSt12__relocate_aIPP12SrsRtpPacketS2_SaIS1_EET0_T_S5_S4_RT1_,"axG",@progbits,_ZSt12__relocate_aIPP12SrsRtpPacketS2_SaIS1_EET0_T_S5_S4_RT1_,comdat
	.weak	_ZSt12__relocate_aIPP12SrsRtpPacketS2_SaIS1_EET0_T_S5_S4_RT1_
	.type	_ZSt12__relocate_aIPP12SrsRtpPacketS2_SaIS1_EET0_T_S5_S4_RT1_, @function
_ZSt12__relocate_aIPP12SrsRtpPacketS2_SaIS1_EET0_T_S5_S4_RT1_:
.LFB2758:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%r12
	pushq	%rbx
	subq	$32, %rsp
	.cfi_offset 12, -24
	.cfi_offset 3, -32
	movq	%rdi, -24(%rbp)
	movq	%rsi, -32(%rbp)
	movq	%rdx, -40(%rbp)
	movq	%rcx, -48(%rbp)
	movq	-40(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt12__niter_baseIPP12SrsRtpPacketET_S3_@PLT
	movq	%rax, %r12
	movq	-32(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt12__niter_baseIPP12SrsRtpPacketET_S3_@PLT
	movq	%rax, %rbx
	movq	-24(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt12__niter_baseIPP12SrsRtpPacketET_S3_@PLT
	movq	%rax, %rdi
	movq	-48(%rbp), %rax
	movq	%rax, %rcx
	movq	%r12, %rdx
	movq	%rbx, %rsi
	call	_ZSt14__relocate_a_1IP12SrsRtpPacketS1_ENSt9enable_ifIXsrSt24__is_bitwise_relocatableIT_vE5valueEPS4_E4typeES6_S6_S6_RSaIT0_E@PLT
	addq	$32, %rsp
	popq	%rbx
	popq	%r12
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2758:
	.size	_ZSt12__relocate_aIPP12SrsRtpPacketS2_SaIS1_EET0_T_S5_S4_RT1_, .-_ZSt12__relocate_aIPP12SrsRtpPacketS2_SaIS1_EET0_T_S5_S4_RT1_
	.section	.text._ZNSt16allocator_traitsISaIP12SrsRtpPacketEE10deallocateERS2_PS1_m,"axG",@progbits,_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE10deallocateERS2_PS1_m,comdat
	.weak	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE10deallocateERS2_PS1_m
	.type	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE10deallocateERS2_PS1_m, @function
_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE10deallocateERS2_PS1_m:
.LFB2761:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	movq	-24(%rbp), %rdx
	movq	-16(%rbp), %rcx
	movq	-8(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt15__new_allocatorIP12SrsRtpPacketE10deallocateEPS1_m@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2761:
	.size	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE10deallocateERS2_PS1_m, .-_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE10deallocateERS2_PS1_m
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_get_nodeEv,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_get_nodeEv,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_get_nodeEv
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_get_nodeEv, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_get_nodeEv:
.LFB2782:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE21_M_get_Node_allocatorEv@PLT
	movl	$1, %esi
	movq	%rax, %rdi
	call	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE8allocateERS5_m@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2782:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_get_nodeEv, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_get_nodeEv
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE17_M_construct_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEvPSt13_Rb_tree_nodeIS2_EDpOT_,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE17_M_construct_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEvPSt13_Rb_tree_nodeIS2_EDpOT_,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE17_M_construct_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEvPSt13_Rb_tree_nodeIS2_EDpOT_
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE17_M_construct_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEvPSt13_Rb_tree_nodeIS2_EDpOT_, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE17_M_construct_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEvPSt13_Rb_tree_nodeIS2_EDpOT_:
.LFB2783:
	.cfi_startproc
	.cfi_personality 0x9b,DW.ref.__gxx_personality_v0
	.cfi_lsda 0x1b,.LLSDA2783
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%r14
	pushq	%r13
	pushq	%r12
	pushq	%rbx
	subq	$48, %rsp
	.cfi_offset 14, -24
	.cfi_offset 13, -32
	.cfi_offset 12, -40
	.cfi_offset 3, -48
	movq	%rdi, -40(%rbp)
	movq	%rsi, -48(%rbp)
	movq	%rdx, -56(%rbp)
	movq	%rcx, -64(%rbp)
	movq	%r8, -72(%rbp)
	movq	-48(%rbp), %rax
	movq	%rax, %rsi
	movl	$48, %edi
	call	_ZnwmPv@PLT
	movq	-72(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardISt5tupleIJEEEOT_RNSt16remove_referenceIS2_E4typeE@PLT
	movq	%rax, %r14
	movq	-64(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardISt5tupleIJRKtEEEOT_RNSt16remove_referenceIS4_E4typeE@PLT
	movq	%rax, %r13
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardIRKSt21piecewise_construct_tEOT_RNSt16remove_referenceIS3_E4typeE@PLT
	movq	%rax, %r12
	movq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv@PLT
	movq	%rax, %rbx
	movq	-40(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE21_M_get_Node_allocatorEv@PLT
	movq	%r14, %r8
	movq	%r13, %rcx
	movq	%r12, %rdx
	movq	%rbx, %rsi
	movq	%rax, %rdi
.LEHB5:
	call	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESB_IJEEEEEvRS5_PT_DpOT0_@PLT
.LEHE5:
	jmp	.L299
.L297:
	movq	%rax, %rdi
	call	__cxa_begin_catch@PLT
	movq	-48(%rbp), %rdx
	movq	-40(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_put_nodeEPSt13_Rb_tree_nodeIS2_E@PLT
.LEHB6:
	call	__cxa_rethrow@PLT
.LEHE6:
.L298:
	movq	%rax, %rbx
	call	__cxa_end_catch@PLT
	movq	%rbx, %rax
	movq	%rax, %rdi
.LEHB7:
	call	_Unwind_Resume@PLT
.LEHE7:
.L299:
	addq	$48, %rsp
	popq	%rbx
	popq	%r12
	popq	%r13
	popq	%r14
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2783:
	.section	.gcc_except_table
	.align 4
.LLSDA2783:
	.byte	0xff
	.byte	0x9b
	.uleb128 .LLSDATT2783-.LLSDATTD2783
.LLSDATTD2783:
	.byte	0x1
	.uleb128 .LLSDACSE2783-.LLSDACSB2783
.LLSDACSB2783:
	.uleb128 .LEHB5-.LFB2783
	.uleb128 .LEHE5-.LEHB5
	.uleb128 .L297-.LFB2783
	.uleb128 0x1
	.uleb128 .LEHB6-.LFB2783
	.uleb128 .LEHE6-.LEHB6
	.uleb128 .L298-.LFB2783
	.uleb128 0
	.uleb128 .LEHB7-.LFB2783
	.uleb128 .LEHE7-.LEHB7
	.uleb128 0
	.uleb128 0
.LLSDACSE2783:
	.byte	0x1
	.byte	0
	.align 4
	.long	0

.LLSDATT2783:
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE17_M_construct_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEvPSt13_Rb_tree_nodeIS2_EDpOT_,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE17_M_construct_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEvPSt13_Rb_tree_nodeIS2_EDpOT_,comdat
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE17_M_construct_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEvPSt13_Rb_tree_nodeIS2_EDpOT_, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE17_M_construct_nodeIJRKSt21piecewise_construct_tSt5tupleIJRS1_EESD_IJEEEEEvPSt13_Rb_tree_nodeIS2_EDpOT_
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE15_M_destroy_nodeEPSt13_Rb_tree_nodeIS2_E,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE15_M_destroy_nodeEPSt13_Rb_tree_nodeIS2_E,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE15_M_destroy_nodeEPSt13_Rb_tree_nodeIS2_E
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE15_M_destroy_nodeEPSt13_Rb_tree_nodeIS2_E, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE15_M_destroy_nodeEPSt13_Rb_tree_nodeIS2_E:
.LFB2785:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%rbx
	subq	$24, %rsp
	.cfi_offset 3, -24
	movq	%rdi, -24(%rbp)
	movq	%rsi, -32(%rbp)
	movq	-32(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv@PLT
	movq	%rax, %rbx
	movq	-24(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE21_M_get_Node_allocatorEv@PLT
	movq	%rbx, %rsi
	movq	%rax, %rdi
	call	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE7destroyIS3_EEvRS5_PT_@PLT
	nop
	movq	-8(%rbp), %rbx
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2785:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE15_M_destroy_nodeEPSt13_Rb_tree_nodeIS2_E, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE15_M_destroy_nodeEPSt13_Rb_tree_nodeIS2_E
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_put_nodeEPSt13_Rb_tree_nodeIS2_E,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_put_nodeEPSt13_Rb_tree_nodeIS2_E,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_put_nodeEPSt13_Rb_tree_nodeIS2_E
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_put_nodeEPSt13_Rb_tree_nodeIS2_E, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_put_nodeEPSt13_Rb_tree_nodeIS2_E:
.LFB2786:
	.cfi_startproc
	.cfi_personality 0x9b,DW.ref.__gxx_personality_v0
	.cfi_lsda 0x1b,.LLSDA2786
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE21_M_get_Node_allocatorEv@PLT
	movq	%rax, %rcx
	movq	-16(%rbp), %rax
	movl	$1, %edx
	movq	%rax, %rsi
	movq	%rcx, %rdi
	call	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE10deallocateERS5_PS4_m@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2786:
	.section	.gcc_except_table
.LLSDA2786:
	.byte	0xff
	.byte	0xff
	.byte	0x1
	.uleb128 .LLSDACSE2786-.LLSDACSB2786
.LLSDACSB2786:
.LLSDACSE2786:
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_put_nodeEPSt13_Rb_tree_nodeIS2_E,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_put_nodeEPSt13_Rb_tree_nodeIS2_E,comdat
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_put_nodeEPSt13_Rb_tree_nodeIS2_E, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE11_M_put_nodeEPSt13_Rb_tree_nodeIS2_E
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5beginEv,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5beginEv,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5beginEv
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5beginEv, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5beginEv:
.LFB2787:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -24(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -8(%rbp)
	xorl	%eax, %eax
	movq	-24(%rbp), %rax
	movq	24(%rax), %rdx
	leaq	-16(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt17_Rb_tree_iteratorISt4pairIKtlEEC1EPSt18_Rb_tree_node_base@PLT
	movq	-16(%rbp), %rax
	movq	-8(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L304
	call	__stack_chk_fail@PLT
.L304:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2787:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5beginEv, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE5beginEv
	.section	.text._ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRPSt13_Rb_tree_nodeIS_IKtlEERS1_Lb1EEEOT_OT0_,"axG",@progbits,_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC5IRPSt13_Rb_tree_nodeIS_IKtlEERS1_Lb1EEEOT_OT0_,comdat
	.align 2
	.weak	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRPSt13_Rb_tree_nodeIS_IKtlEERS1_Lb1EEEOT_OT0_
	.type	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRPSt13_Rb_tree_nodeIS_IKtlEERS1_Lb1EEEOT_OT0_, @function
_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRPSt13_Rb_tree_nodeIS_IKtlEERS1_Lb1EEEOT_OT0_:
.LFB2789:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	movq	-16(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardIRPSt13_Rb_tree_nodeISt4pairIKtlEEEOT_RNSt16remove_referenceIS7_E4typeE@PLT
	movq	(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, (%rax)
	movq	-24(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardIRPSt18_Rb_tree_node_baseEOT_RNSt16remove_referenceIS3_E4typeE@PLT
	movq	(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, 8(%rax)
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2789:
	.size	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRPSt13_Rb_tree_nodeIS_IKtlEERS1_Lb1EEEOT_OT0_, .-_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRPSt13_Rb_tree_nodeIS_IKtlEERS1_Lb1EEEOT_OT0_
	.weak	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IRPSt13_Rb_tree_nodeIS_IKtlEERS1_Lb1EEEOT_OT0_
	.set	_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC1IRPSt13_Rb_tree_nodeIS_IKtlEERS1_Lb1EEEOT_OT0_,_ZNSt4pairIPSt18_Rb_tree_node_baseS1_EC2IRPSt13_Rb_tree_nodeIS_IKtlEERS1_Lb1EEEOT_OT0_
	.section	.text._ZSt7forwardIRPSt18_Rb_tree_node_baseEOT_RNSt16remove_referenceIS3_E4typeE,"axG",@progbits,_ZSt7forwardIRPSt18_Rb_tree_node_baseEOT_RNSt16remove_referenceIS3_E4typeE,comdat
	.weak	_ZSt7forwardIRPSt18_Rb_tree_node_baseEOT_RNSt16remove_referenceIS3_E4typeE
	.type	_ZSt7forwardIRPSt18_Rb_tree_node_baseEOT_RNSt16remove_referenceIS3_E4typeE, @function
_ZSt7forwardIRPSt18_Rb_tree_node_baseEOT_RNSt16remove_referenceIS3_E4typeE:
.LFB2791:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2791:
	.size	_ZSt7forwardIRPSt18_Rb_tree_node_baseEOT_RNSt16remove_referenceIS3_E4typeE, .-_ZSt7forwardIRPSt18_Rb_tree_node_baseEOT_RNSt16remove_referenceIS3_E4typeE
	.section	.text._ZNKSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv,"axG",@progbits,_ZNKSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv,comdat
	.align 2
	.weak	_ZNKSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv
	.type	_ZNKSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv, @function
_ZNKSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv:
.LFB2792:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	addq	$32, %rax
	movq	%rax, %rdi
	call	_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2792:
	.size	_ZNKSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv, .-_ZNKSt13_Rb_tree_nodeISt4pairIKtlEE9_M_valptrEv
	.section	.text._ZNKSt10_Select1stISt4pairIKtlEEclERKS2_,"axG",@progbits,_ZNKSt10_Select1stISt4pairIKtlEEclERKS2_,comdat
	.align 2
	.weak	_ZNKSt10_Select1stISt4pairIKtlEEclERKS2_
	.type	_ZNKSt10_Select1stISt4pairIKtlEEclERKS2_, @function
_ZNKSt10_Select1stISt4pairIKtlEEclERKS2_:
.LFB2793:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-16(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2793:
	.size	_ZNKSt10_Select1stISt4pairIKtlEEclERKS2_, .-_ZNKSt10_Select1stISt4pairIKtlEEclERKS2_
	.section	.text._ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_max_sizeERKS2_,"axG",@progbits,_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_max_sizeERKS2_,comdat
	.weak	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_max_sizeERKS2_
	.type	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_max_sizeERKS2_, @function
_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_max_sizeERKS2_:
.LFB2794:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$48, %rsp
	movq	%rdi, -40(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -8(%rbp)
	xorl	%eax, %eax
	movabsq	$1152921504606846975, %rax
	movq	%rax, -24(%rbp)
	movq	-40(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8max_sizeERKS2_@PLT
	movq	%rax, -16(%rbp)
	leaq	-16(%rbp), %rdx
	leaq	-24(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZSt3minImERKT_S2_S2_@PLT
	movq	(%rax), %rax
	movq	-8(%rbp), %rdx
	subq	%fs:40, %rdx
	je	.L314
	call	__stack_chk_fail@PLT
.L314:
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2794:
	.size	_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_max_sizeERKS2_, .-_ZNSt6vectorIP12SrsRtpPacketSaIS1_EE11_S_max_sizeERKS2_
	.section	.text._ZNKSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv,"axG",@progbits,_ZNKSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv,comdat
	.align 2
	.weak	_ZNKSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv
	.type	_ZNKSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv, @function
_ZNKSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv:
.LFB2795:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2795:
	.size	_ZNKSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv, .-_ZNKSt12_Vector_baseIP12SrsRtpPacketSaIS1_EE19_M_get_Tp_allocatorEv
	.section	.text._ZNSt15__new_allocatorIP12SrsRtpPacketE8allocateEmPKv,"axG",@progbits,_ZNSt15__new_allocatorIP12SrsRtpPacketE8allocateEmPKv,comdat
	.align 2
	.weak	_ZNSt15__new_allocatorIP12SrsRtpPacketE8allocateEmPKv
	.type	_ZNSt15__new_allocatorIP12SrsRtpPacketE8allocateEmPKv, @function
_ZNSt15__new_allocatorIP12SrsRtpPacketE8allocateEmPKv:
.LFB2796:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt15__new_allocatorIP12SrsRtpPacketE11_M_max_sizeEv@PLT
	cmpq	-16(%rbp), %rax
	setb	%al
	movzbl	%al, %eax
	testq	%rax, %rax
	setne	%al
	testb	%al, %al
	je	.L318
	movabsq	$2305843009213693951, %rax
	cmpq	-16(%rbp), %rax
	jnb	.L319
	call	_ZSt28__throw_bad_array_new_lengthv@PLT
.L319:
	call	_ZSt17__throw_bad_allocv@PLT
.L318:
	movq	-16(%rbp), %rax
	salq	$3, %rax
	movq	%rax, %rdi
	call	_Znwm@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2796:
	.size	_ZNSt15__new_allocatorIP12SrsRtpPacketE8allocateEmPKv, .-_ZNSt15__new_allocatorIP12SrsRtpPacketE8allocateEmPKv
	.section	.text._ZSt12__niter_baseIPP12SrsRtpPacketET_S3_,"axG",@progbits,_ZSt12__niter_baseIPP12SrsRtpPacketET_S3_,comdat
	.weak	_ZSt12__niter_baseIPP12SrsRtpPacketET_S3_
	.type	_ZSt12__niter_baseIPP12SrsRtpPacketET_S3_, @function
_ZSt12__niter_baseIPP12SrsRtpPacketET_S3_:
.LFB2797:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2797:
	.size	_ZSt12__niter_baseIPP12SrsRtpPacketET_S3_, .-_ZSt12__niter_baseIPP12SrsRtpPacketET_S3_
	.section	.text._ZSt14__relocate_a_1IP12SrsRtpPacketS1_ENSt9enable_ifIXsrSt24__is_bitwise_relocatableIT_vE5valueEPS4_E4typeES6_S6_S6_RSaIT0_E,"axG",@progbits,_ZSt14__relocate_a_1IP12SrsRtpPacketS1_ENSt9enable_ifIXsrSt24__is_bitwise_relocatableIT_vE5valueEPS4_E4typeES6_S6_S6_RSaIT0_E,comdat
	.weak	_ZSt14__relocate_a_1IP12SrsRtpPacketS1_ENSt9enable_ifIXsrSt24__is_bitwise_relocatableIT_vE5valueEPS4_E4typeES6_S6_S6_RSaIT0_E
	.type	_ZSt14__relocate_a_1IP12SrsRtpPacketS1_ENSt9enable_ifIXsrSt24__is_bitwise_relocatableIT_vE5valueEPS4_E4typeES6_S6_S6_RSaIT0_E, @function
_ZSt14__relocate_a_1IP12SrsRtpPacketS1_ENSt9enable_ifIXsrSt24__is_bitwise_relocatableIT_vE5valueEPS4_E4typeES6_S6_S6_RSaIT0_E:
.LFB2798:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$48, %rsp
	movq	%rdi, -24(%rbp)
	movq	%rsi, -32(%rbp)
	movq	%rdx, -40(%rbp)
	movq	%rcx, -48(%rbp)
	movq	-32(%rbp), %rax
	subq	-24(%rbp), %rax
	sarq	$3, %rax
	movq	%rax, -8(%rbp)
	cmpq	$0, -8(%rbp)
	jle	.L324
	movq	-8(%rbp), %rax
	leaq	0(,%rax,8), %rdx
	movq	-24(%rbp), %rcx
	movq	-40(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	memmove@PLT
.L324:
	movq	-8(%rbp), %rax
	leaq	0(,%rax,8), %rdx
	movq	-40(%rbp), %rax
	addq	%rdx, %rax
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2798:
	.size	_ZSt14__relocate_a_1IP12SrsRtpPacketS1_ENSt9enable_ifIXsrSt24__is_bitwise_relocatableIT_vE5valueEPS4_E4typeES6_S6_S6_RSaIT0_E, .-_ZSt14__relocate_a_1IP12SrsRtpPacketS1_ENSt9enable_ifIXsrSt24__is_bitwise_relocatableIT_vE5valueEPS4_E4typeES6_S6_S6_RSaIT0_E
	.section	.text._ZNSt15__new_allocatorIP12SrsRtpPacketE10deallocateEPS1_m,"axG",@progbits,_ZNSt15__new_allocatorIP12SrsRtpPacketE10deallocateEPS1_m,comdat
	.align 2
	.weak	_ZNSt15__new_allocatorIP12SrsRtpPacketE10deallocateEPS1_m
	.type	_ZNSt15__new_allocatorIP12SrsRtpPacketE10deallocateEPS1_m, @function
_ZNSt15__new_allocatorIP12SrsRtpPacketE10deallocateEPS1_m:
.LFB2800:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	movq	-24(%rbp), %rax
	leaq	0(,%rax,8), %rdx
	movq	-16(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZdlPvm@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2800:
	.size	_ZNSt15__new_allocatorIP12SrsRtpPacketE10deallocateEPS1_m, .-_ZNSt15__new_allocatorIP12SrsRtpPacketE10deallocateEPS1_m
	.section	.text._ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE21_M_get_Node_allocatorEv,"axG",@progbits,_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE21_M_get_Node_allocatorEv,comdat
	.align 2
	.weak	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE21_M_get_Node_allocatorEv
	.type	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE21_M_get_Node_allocatorEv, @function
_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE21_M_get_Node_allocatorEv:
.LFB2809:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2809:
	.size	_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE21_M_get_Node_allocatorEv, .-_ZNSt8_Rb_treeItSt4pairIKtlESt10_Select1stIS2_ESt4lessItESaIS2_EE21_M_get_Node_allocatorEv
	.section	.text._ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE8allocateERS5_m,"axG",@progbits,_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE8allocateERS5_m,comdat
	.weak	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE8allocateERS5_m
	.type	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE8allocateERS5_m, @function
_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE8allocateERS5_m:
.LFB2810:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-16(%rbp), %rcx
	movq	-8(%rbp), %rax
	movl	$0, %edx
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE8allocateEmPKv@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2810:
	.size	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE8allocateERS5_m, .-_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE8allocateERS5_m
	.section	.text._ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESB_IJEEEEEvRS5_PT_DpOT0_,"axG",@progbits,_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESB_IJEEEEEvRS5_PT_DpOT0_,comdat
	.weak	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESB_IJEEEEEvRS5_PT_DpOT0_
	.type	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESB_IJEEEEEvRS5_PT_DpOT0_, @function
_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESB_IJEEEEEvRS5_PT_DpOT0_:
.LFB2811:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%r12
	pushq	%rbx
	subq	$48, %rsp
	.cfi_offset 12, -24
	.cfi_offset 3, -32
	movq	%rdi, -24(%rbp)
	movq	%rsi, -32(%rbp)
	movq	%rdx, -40(%rbp)
	movq	%rcx, -48(%rbp)
	movq	%r8, -56(%rbp)
	movq	-56(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardISt5tupleIJEEEOT_RNSt16remove_referenceIS2_E4typeE@PLT
	movq	%rax, %r12
	movq	-48(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardISt5tupleIJRKtEEEOT_RNSt16remove_referenceIS4_E4typeE@PLT
	movq	%rax, %rbx
	movq	-40(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardIRKSt21piecewise_construct_tEOT_RNSt16remove_referenceIS3_E4typeE@PLT
	movq	%rax, %rdx
	movq	-32(%rbp), %rsi
	movq	-24(%rbp), %rax
	movq	%r12, %r8
	movq	%rbx, %rcx
	movq	%rax, %rdi
	call	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESA_IJEEEEEvPT_DpOT0_@PLT
	nop
	addq	$48, %rsp
	popq	%rbx
	popq	%r12
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2811:
	.size	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESB_IJEEEEEvRS5_PT_DpOT0_, .-_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESB_IJEEEEEvRS5_PT_DpOT0_
	.section	.text._ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE7destroyIS3_EEvRS5_PT_,"axG",@progbits,_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE7destroyIS3_EEvRS5_PT_,comdat
	.weak	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE7destroyIS3_EEvRS5_PT_
	.type	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE7destroyIS3_EEvRS5_PT_, @function
_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE7destroyIS3_EEvRS5_PT_:
.LFB2812:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-16(%rbp), %rdx
	movq	-8(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE7destroyIS3_EEvPT_@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2812:
	.size	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE7destroyIS3_EEvRS5_PT_, .-_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE7destroyIS3_EEvRS5_PT_
	.section	.text._ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE10deallocateERS5_PS4_m,"axG",@progbits,_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE10deallocateERS5_PS4_m,comdat
	.weak	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE10deallocateERS5_PS4_m
	.type	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE10deallocateERS5_PS4_m, @function
_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE10deallocateERS5_PS4_m:
.LFB2813:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	movq	-24(%rbp), %rdx
	movq	-16(%rbp), %rcx
	movq	-8(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE10deallocateEPS4_m@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2813:
	.size	_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE10deallocateERS5_PS4_m, .-_ZNSt16allocator_traitsISaISt13_Rb_tree_nodeISt4pairIKtlEEEE10deallocateERS5_PS4_m
	.section	.text._ZSt7forwardIRPSt13_Rb_tree_nodeISt4pairIKtlEEEOT_RNSt16remove_referenceIS7_E4typeE,"axG",@progbits,_ZSt7forwardIRPSt13_Rb_tree_nodeISt4pairIKtlEEEOT_RNSt16remove_referenceIS7_E4typeE,comdat
	.weak	_ZSt7forwardIRPSt13_Rb_tree_nodeISt4pairIKtlEEEOT_RNSt16remove_referenceIS7_E4typeE
	.type	_ZSt7forwardIRPSt13_Rb_tree_nodeISt4pairIKtlEEEOT_RNSt16remove_referenceIS7_E4typeE, @function
_ZSt7forwardIRPSt13_Rb_tree_nodeISt4pairIKtlEEEOT_RNSt16remove_referenceIS7_E4typeE:
.LFB2814:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2814:
	.size	_ZSt7forwardIRPSt13_Rb_tree_nodeISt4pairIKtlEEEOT_RNSt16remove_referenceIS7_E4typeE, .-_ZSt7forwardIRPSt13_Rb_tree_nodeISt4pairIKtlEEEOT_RNSt16remove_referenceIS7_E4typeE
	.section	.text._ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv,"axG",@progbits,_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv,comdat
	.align 2
	.weak	_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv
	.type	_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv, @function
_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv:
.LFB2815:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2815:
	.size	_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv, .-_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE6_M_ptrEv
	.section	.text._ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8max_sizeERKS2_,"axG",@progbits,_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8max_sizeERKS2_,comdat
	.weak	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8max_sizeERKS2_
	.type	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8max_sizeERKS2_, @function
_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8max_sizeERKS2_:
.LFB2816:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt15__new_allocatorIP12SrsRtpPacketE8max_sizeEv@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2816:
	.size	_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8max_sizeERKS2_, .-_ZNSt16allocator_traitsISaIP12SrsRtpPacketEE8max_sizeERKS2_
	.section	.text._ZSt3minImERKT_S2_S2_,"axG",@progbits,_ZSt3minImERKT_S2_S2_,comdat
	.weak	_ZSt3minImERKT_S2_S2_
	.type	_ZSt3minImERKT_S2_S2_, @function
_ZSt3minImERKT_S2_S2_:
.LFB2817:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-16(%rbp), %rax
	movq	(%rax), %rdx
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	cmpq	%rax, %rdx
	jnb	.L342
	movq	-16(%rbp), %rax
	jmp	.L343
.L342:
	movq	-8(%rbp), %rax
.L343:
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2817:
	.size	_ZSt3minImERKT_S2_S2_, .-_ZSt3minImERKT_S2_S2_
	.section	.text._ZNKSt15__new_allocatorIP12SrsRtpPacketE11_M_max_sizeEv,"axG",@progbits,_ZNKSt15__new_allocatorIP12SrsRtpPacketE11_M_max_sizeEv,comdat
	.align 2
	.weak	_ZNKSt15__new_allocatorIP12SrsRtpPacketE11_M_max_sizeEv
	.type	_ZNKSt15__new_allocatorIP12SrsRtpPacketE11_M_max_sizeEv, @function
_ZNKSt15__new_allocatorIP12SrsRtpPacketE11_M_max_sizeEv:
.LFB2818:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movabsq	$1152921504606846975, %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2818:
	.size	_ZNKSt15__new_allocatorIP12SrsRtpPacketE11_M_max_sizeEv, .-_ZNKSt15__new_allocatorIP12SrsRtpPacketE11_M_max_sizeEv
	.section	.text._ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE8allocateEmPKv,"axG",@progbits,_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE8allocateEmPKv,comdat
	.align 2
	.weak	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE8allocateEmPKv
	.type	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE8allocateEmPKv, @function
_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE8allocateEmPKv:
.LFB2822:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE11_M_max_sizeEv@PLT
	cmpq	-16(%rbp), %rax
	setb	%al
	movzbl	%al, %eax
	testq	%rax, %rax
	setne	%al
	testb	%al, %al
	je	.L347
	movabsq	$384307168202282325, %rax
	cmpq	-16(%rbp), %rax
	jnb	.L348
	call	_ZSt28__throw_bad_array_new_lengthv@PLT
.L348:
	call	_ZSt17__throw_bad_allocv@PLT
.L347:
	movq	-16(%rbp), %rdx
	movq	%rdx, %rax
	addq	%rax, %rax
	addq	%rdx, %rax
	salq	$4, %rax
	movq	%rax, %rdi
	call	_Znwm@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2822:
	.size	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE8allocateEmPKv, .-_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE8allocateEmPKv
	.section	.text._ZNSt5tupleIJRKtEEC2EOS2_,"axG",@progbits,_ZNSt5tupleIJRKtEEC5EOS2_,comdat
	.align 2
	.weak	_ZNSt5tupleIJRKtEEC2EOS2_
	.type	_ZNSt5tupleIJRKtEEC2EOS2_, @function
_ZNSt5tupleIJRKtEEC2EOS2_:
.LFB2825:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	-16(%rbp), %rdx
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt11_Tuple_implILm0EJRKtEEC2EOS2_@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2825:
	.size	_ZNSt5tupleIJRKtEEC2EOS2_, .-_ZNSt5tupleIJRKtEEC2EOS2_
	.weak	_ZNSt5tupleIJRKtEEC1EOS2_
	.set	_ZNSt5tupleIJRKtEEC1EOS2_,_ZNSt5tupleIJRKtEEC2EOS2_
	.section	.text._ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESA_IJEEEEEvPT_DpOT0_,"axG",@progbits,_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESA_IJEEEEEvPT_DpOT0_,comdat
	.align 2
	.weak	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESA_IJEEEEEvPT_DpOT0_
	.type	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESA_IJEEEEEvPT_DpOT0_, @function
_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESA_IJEEEEEvPT_DpOT0_:
.LFB2823:
	.cfi_startproc
	.cfi_personality 0x9b,DW.ref.__gxx_personality_v0
	.cfi_lsda 0x1b,.LLSDA2823
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	pushq	%r14
	pushq	%r13
	pushq	%r12
	pushq	%rbx
	subq	$64, %rsp
	.cfi_offset 14, -24
	.cfi_offset 13, -32
	.cfi_offset 12, -40
	.cfi_offset 3, -48
	movq	%rdi, -56(%rbp)
	movq	%rsi, -64(%rbp)
	movq	%rdx, -72(%rbp)
	movq	%rcx, -80(%rbp)
	movq	%r8, -88(%rbp)
	movq	%fs:40, %rax
	movq	%rax, -40(%rbp)
	xorl	%eax, %eax
	movq	-64(%rbp), %rbx
	movq	%rbx, %rsi
	movl	$16, %edi
	call	_ZnwmPv@PLT
	movq	%rax, %r12
	movl	$1, %r14d
	movq	-88(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardISt5tupleIJEEEOT_RNSt16remove_referenceIS2_E4typeE@PLT
	movq	-80(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardISt5tupleIJRKtEEEOT_RNSt16remove_referenceIS4_E4typeE@PLT
	movq	%rax, %rdx
	leaq	-48(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZNSt5tupleIJRKtEEC1EOS2_@PLT
	movq	-72(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt7forwardIRKSt21piecewise_construct_tEOT_RNSt16remove_referenceIS3_E4typeE@PLT
	leaq	-48(%rbp), %rax
	movq	%rax, %rsi
	movq	%r12, %rdi
.LEHB8:
	call	_ZNSt4pairIKtlEC1IJRS0_EJEEESt21piecewise_construct_tSt5tupleIJDpT_EES5_IJDpT0_EE@PLT
.LEHE8:
	nop
	movq	-40(%rbp), %rax
	subq	%fs:40, %rax
	je	.L354
	jmp	.L356
.L355:
	movq	%rax, %r13
	testb	%r14b, %r14b
	je	.L353
	movq	%rbx, %rsi
	movq	%r12, %rdi
	call	_ZdlPvS_@PLT
.L353:
	movq	%r13, %rax
	movq	%rax, %rdi
.LEHB9:
	call	_Unwind_Resume@PLT
.LEHE9:
.L356:
	call	__stack_chk_fail@PLT
.L354:
	addq	$64, %rsp
	popq	%rbx
	popq	%r12
	popq	%r13
	popq	%r14
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2823:
	.section	.gcc_except_table
.LLSDA2823:
	.byte	0xff
	.byte	0xff
	.byte	0x1
	.uleb128 .LLSDACSE2823-.LLSDACSB2823
.LLSDACSB2823:
	.uleb128 .LEHB8-.LFB2823
	.uleb128 .LEHE8-.LEHB8
	.uleb128 .L355-.LFB2823
	.uleb128 0
	.uleb128 .LEHB9-.LFB2823
	.uleb128 .LEHE9-.LEHB9
	.uleb128 0
	.uleb128 0
.LLSDACSE2823:
	.section	.text._ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESA_IJEEEEEvPT_DpOT0_,"axG",@progbits,_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESA_IJEEEEEvPT_DpOT0_,comdat
	.size	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESA_IJEEEEEvPT_DpOT0_, .-_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE9constructIS3_JRKSt21piecewise_construct_tSt5tupleIJRS2_EESA_IJEEEEEvPT_DpOT0_
	.section	.text._ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE7destroyIS3_EEvPT_,"axG",@progbits,_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE7destroyIS3_EEvPT_,comdat
	.align 2
	.weak	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE7destroyIS3_EEvPT_
	.type	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE7destroyIS3_EEvPT_, @function
_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE7destroyIS3_EEvPT_:
.LFB2827:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	nop
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2827:
	.size	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE7destroyIS3_EEvPT_, .-_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE7destroyIS3_EEvPT_
	.section	.text._ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE10deallocateEPS4_m,"axG",@progbits,_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE10deallocateEPS4_m,comdat
	.align 2
	.weak	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE10deallocateEPS4_m
	.type	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE10deallocateEPS4_m, @function
_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE10deallocateEPS4_m:
.LFB2828:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	movq	-24(%rbp), %rdx
	movq	%rdx, %rax
	addq	%rax, %rax
	addq	%rdx, %rax
	salq	$4, %rax
	movq	%rax, %rdx
	movq	-16(%rbp), %rax
	movq	%rdx, %rsi
	movq	%rax, %rdi
	call	_ZdlPvm@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2828:
	.size	_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE10deallocateEPS4_m, .-_ZNSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE10deallocateEPS4_m
	.section	.text._ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv,"axG",@progbits,_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv,comdat
	.align 2
	.weak	_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv
	.type	_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv, @function
_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv:
.LFB2829:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2829:
	.size	_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv, .-_ZNK9__gnu_cxx16__aligned_membufISt4pairIKtlEE7_M_addrEv
	.section	.text._ZNKSt15__new_allocatorIP12SrsRtpPacketE8max_sizeEv,"axG",@progbits,_ZNKSt15__new_allocatorIP12SrsRtpPacketE8max_sizeEv,comdat
	.align 2
	.weak	_ZNKSt15__new_allocatorIP12SrsRtpPacketE8max_sizeEv
	.type	_ZNKSt15__new_allocatorIP12SrsRtpPacketE8max_sizeEv, @function
_ZNKSt15__new_allocatorIP12SrsRtpPacketE8max_sizeEv:
.LFB2830:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNKSt15__new_allocatorIP12SrsRtpPacketE11_M_max_sizeEv@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2830:
	.size	_ZNKSt15__new_allocatorIP12SrsRtpPacketE8max_sizeEv, .-_ZNKSt15__new_allocatorIP12SrsRtpPacketE8max_sizeEv
	.section	.text._ZNKSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE11_M_max_sizeEv,"axG",@progbits,_ZNKSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE11_M_max_sizeEv,comdat
	.align 2
	.weak	_ZNKSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE11_M_max_sizeEv
	.type	_ZNKSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE11_M_max_sizeEv, @function
_ZNKSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE11_M_max_sizeEv:
.LFB2831:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movabsq	$192153584101141162, %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2831:
	.size	_ZNKSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE11_M_max_sizeEv, .-_ZNKSt15__new_allocatorISt13_Rb_tree_nodeISt4pairIKtlEEE11_M_max_sizeEv
	.section	.text._ZNSt11_Tuple_implILm0EJRKtEEC2EOS2_,"axG",@progbits,_ZNSt11_Tuple_implILm0EJRKtEEC5EOS2_,comdat
	.align 2
	.weak	_ZNSt11_Tuple_implILm0EJRKtEEC2EOS2_
	.type	_ZNSt11_Tuple_implILm0EJRKtEEC2EOS2_, @function
_ZNSt11_Tuple_implILm0EJRKtEEC2EOS2_:
.LFB2833:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	-8(%rbp), %rax
	movq	-16(%rbp), %rdx
	movq	(%rdx), %rdx
	movq	%rdx, (%rax)
	nop
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2833:
	.size	_ZNSt11_Tuple_implILm0EJRKtEEC2EOS2_, .-_ZNSt11_Tuple_implILm0EJRKtEEC2EOS2_
	.weak	_ZNSt11_Tuple_implILm0EJRKtEEC1EOS2_
	.set	_ZNSt11_Tuple_implILm0EJRKtEEC1EOS2_,_ZNSt11_Tuple_implILm0EJRKtEEC2EOS2_
	.section	.text._ZNSt4pairIKtlEC2IJRS0_EJEEESt21piecewise_construct_tSt5tupleIJDpT_EES5_IJDpT0_EE,"axG",@progbits,_ZNSt4pairIKtlEC5IJRS0_EJEEESt21piecewise_construct_tSt5tupleIJDpT_EES5_IJDpT0_EE,comdat
	.align 2
	.weak	_ZNSt4pairIKtlEC2IJRS0_EJEEESt21piecewise_construct_tSt5tupleIJDpT_EES5_IJDpT0_EE
	.type	_ZNSt4pairIKtlEC2IJRS0_EJEEESt21piecewise_construct_tSt5tupleIJDpT_EES5_IJDpT0_EE, @function
_ZNSt4pairIKtlEC2IJRS0_EJEEESt21piecewise_construct_tSt5tupleIJDpT_EES5_IJDpT0_EE:
.LFB2836:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	leaq	-17(%rbp), %rdx
	movq	-16(%rbp), %rcx
	movq	-8(%rbp), %rax
	movq	%rcx, %rsi
	movq	%rax, %rdi
	call	_ZNSt4pairIKtlEC1IJRS0_EJLm0EEJEJEEERSt5tupleIJDpT_EERS4_IJDpT1_EESt12_Index_tupleIJXspT0_EEESD_IJXspT2_EEE@PLT
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2836:
	.size	_ZNSt4pairIKtlEC2IJRS0_EJEEESt21piecewise_construct_tSt5tupleIJDpT_EES5_IJDpT0_EE, .-_ZNSt4pairIKtlEC2IJRS0_EJEEESt21piecewise_construct_tSt5tupleIJDpT_EES5_IJDpT0_EE
	.weak	_ZNSt4pairIKtlEC1IJRS0_EJEEESt21piecewise_construct_tSt5tupleIJDpT_EES5_IJDpT0_EE
	.set	_ZNSt4pairIKtlEC1IJRS0_EJEEESt21piecewise_construct_tSt5tupleIJDpT_EES5_IJDpT0_EE,_ZNSt4pairIKtlEC2IJRS0_EJEEESt21piecewise_construct_tSt5tupleIJDpT_EES5_IJDpT0_EE
	.section	.text._ZNSt4pairIKtlEC2IJRS0_EJLm0EEJEJEEERSt5tupleIJDpT_EERS4_IJDpT1_EESt12_Index_tupleIJXspT0_EEESD_IJXspT2_EEE,"axG",@progbits,_ZNSt4pairIKtlEC5IJRS0_EJLm0EEJEJEEERSt5tupleIJDpT_EERS4_IJDpT1_EESt12_Index_tupleIJXspT0_EEESD_IJXspT2_EEE,comdat
	.align 2
	.weak	_ZNSt4pairIKtlEC2IJRS0_EJLm0EEJEJEEERSt5tupleIJDpT_EERS4_IJDpT1_EESt12_Index_tupleIJXspT0_EEESD_IJXspT2_EEE
	.type	_ZNSt4pairIKtlEC2IJRS0_EJLm0EEJEJEEERSt5tupleIJDpT_EERS4_IJDpT1_EESt12_Index_tupleIJXspT0_EEESD_IJXspT2_EEE, @function
_ZNSt4pairIKtlEC2IJRS0_EJLm0EEJEJEEERSt5tupleIJDpT_EERS4_IJDpT1_EESt12_Index_tupleIJXspT0_EEESD_IJXspT2_EEE:
.LFB2839:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$32, %rsp
	movq	%rdi, -8(%rbp)
	movq	%rsi, -16(%rbp)
	movq	%rdx, -24(%rbp)
	movq	-16(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt3getILm0EJRKtEERNSt13tuple_elementIXT_ESt5tupleIJDpT0_EEE4typeERS6_@PLT
	movq	%rax, %rdi
	call	_ZSt7forwardIRKtEOT_RNSt16remove_referenceIS2_E4typeE@PLT
	movzwl	(%rax), %edx
	movq	-8(%rbp), %rax
	movw	%dx, (%rax)
	movq	-8(%rbp), %rax
	movq	$0, 8(%rax)
	nop
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2839:
	.size	_ZNSt4pairIKtlEC2IJRS0_EJLm0EEJEJEEERSt5tupleIJDpT_EERS4_IJDpT1_EESt12_Index_tupleIJXspT0_EEESD_IJXspT2_EEE, .-_ZNSt4pairIKtlEC2IJRS0_EJLm0EEJEJEEERSt5tupleIJDpT_EERS4_IJDpT1_EESt12_Index_tupleIJXspT0_EEESD_IJXspT2_EEE
	.weak	_ZNSt4pairIKtlEC1IJRS0_EJLm0EEJEJEEERSt5tupleIJDpT_EERS4_IJDpT1_EESt12_Index_tupleIJXspT0_EEESD_IJXspT2_EEE
	.set	_ZNSt4pairIKtlEC1IJRS0_EJLm0EEJEJEEERSt5tupleIJDpT_EERS4_IJDpT1_EESt12_Index_tupleIJXspT0_EEESD_IJXspT2_EEE,_ZNSt4pairIKtlEC2IJRS0_EJLm0EEJEJEEERSt5tupleIJDpT_EERS4_IJDpT1_EESt12_Index_tupleIJXspT0_EEESD_IJXspT2_EEE
	.section	.text._ZSt3getILm0EJRKtEERNSt13tuple_elementIXT_ESt5tupleIJDpT0_EEE4typeERS6_,"axG",@progbits,_ZSt3getILm0EJRKtEERNSt13tuple_elementIXT_ESt5tupleIJDpT0_EEE4typeERS6_,comdat
	.weak	_ZSt3getILm0EJRKtEERNSt13tuple_elementIXT_ESt5tupleIJDpT0_EEE4typeERS6_
	.type	_ZSt3getILm0EJRKtEERNSt13tuple_elementIXT_ESt5tupleIJDpT0_EEE4typeERS6_, @function
_ZSt3getILm0EJRKtEERNSt13tuple_elementIXT_ESt5tupleIJDpT0_EEE4typeERS6_:
.LFB2841:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZSt12__get_helperILm0ERKtJEERT0_RSt11_Tuple_implIXT_EJS2_DpT1_EE@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2841:
	.size	_ZSt3getILm0EJRKtEERNSt13tuple_elementIXT_ESt5tupleIJDpT0_EEE4typeERS6_, .-_ZSt3getILm0EJRKtEERNSt13tuple_elementIXT_ESt5tupleIJDpT0_EEE4typeERS6_
	.section	.text._ZSt7forwardIRKtEOT_RNSt16remove_referenceIS2_E4typeE,"axG",@progbits,_ZSt7forwardIRKtEOT_RNSt16remove_referenceIS2_E4typeE,comdat
	.weak	_ZSt7forwardIRKtEOT_RNSt16remove_referenceIS2_E4typeE
	.type	_ZSt7forwardIRKtEOT_RNSt16remove_referenceIS2_E4typeE, @function
_ZSt7forwardIRKtEOT_RNSt16remove_referenceIS2_E4typeE:
.LFB2842:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2842:
	.size	_ZSt7forwardIRKtEOT_RNSt16remove_referenceIS2_E4typeE, .-_ZSt7forwardIRKtEOT_RNSt16remove_referenceIS2_E4typeE
	.section	.text._ZSt12__get_helperILm0ERKtJEERT0_RSt11_Tuple_implIXT_EJS2_DpT1_EE,"axG",@progbits,_ZSt12__get_helperILm0ERKtJEERT0_RSt11_Tuple_implIXT_EJS2_DpT1_EE,comdat
	.weak	_ZSt12__get_helperILm0ERKtJEERT0_RSt11_Tuple_implIXT_EJS2_DpT1_EE
	.type	_ZSt12__get_helperILm0ERKtJEERT0_RSt11_Tuple_implIXT_EJS2_DpT1_EE, @function
_ZSt12__get_helperILm0ERKtJEERT0_RSt11_Tuple_implIXT_EJS2_DpT1_EE:
.LFB2843:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt11_Tuple_implILm0EJRKtEE7_M_headERS2_@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2843:
	.size	_ZSt12__get_helperILm0ERKtJEERT0_RSt11_Tuple_implIXT_EJS2_DpT1_EE, .-_ZSt12__get_helperILm0ERKtJEERT0_RSt11_Tuple_implIXT_EJS2_DpT1_EE
	.section	.text._ZNSt11_Tuple_implILm0EJRKtEE7_M_headERS2_,"axG",@progbits,_ZNSt11_Tuple_implILm0EJRKtEE7_M_headERS2_,comdat
	.weak	_ZNSt11_Tuple_implILm0EJRKtEE7_M_headERS2_
	.type	_ZNSt11_Tuple_implILm0EJRKtEE7_M_headERS2_, @function
_ZNSt11_Tuple_implILm0EJRKtEE7_M_headERS2_:
.LFB2844:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	subq	$16, %rsp
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	%rax, %rdi
	call	_ZNSt10_Head_baseILm0ERKtLb0EE7_M_headERS2_@PLT
	leave
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2844:
	.size	_ZNSt11_Tuple_implILm0EJRKtEE7_M_headERS2_, .-_ZNSt11_Tuple_implILm0EJRKtEE7_M_headERS2_
	.section	.text._ZNSt10_Head_baseILm0ERKtLb0EE7_M_headERS2_,"axG",@progbits,_ZNSt10_Head_baseILm0ERKtLb0EE7_M_headERS2_,comdat
	.weak	_ZNSt10_Head_baseILm0ERKtLb0EE7_M_headERS2_
	.type	_ZNSt10_Head_baseILm0ERKtLb0EE7_M_headERS2_, @function
_ZNSt10_Head_baseILm0ERKtLb0EE7_M_headERS2_:
.LFB2845:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register 6
	movq	%rdi, -8(%rbp)
	movq	-8(%rbp), %rax
	movq	(%rax), %rax
	popq	%rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
.LFE2845:
	.size	_ZNSt10_Head_baseILm0ERKtLb0EE7_M_headERS2_, .-_ZNSt10_Head_baseILm0ERKtLb0EE7_M_headERS2_
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
	.weak	_ZTI15SrsLiveConsumer
	.section	.data.rel.ro._ZTI15SrsLiveConsumer,"awG",@progbits,_ZTI15SrsLiveConsumer,comdat
	.align 8
	.type	_ZTI15SrsLiveConsumer, @object
	.size	_ZTI15SrsLiveConsumer, 16
_ZTI15SrsLiveConsumer:
	.quad	_ZTVN10__cxxabiv117__class_type_infoE+16
	.quad	_ZTS15SrsLiveConsumer
	.weak	_ZTS15SrsLiveConsumer
	.section	.rodata._ZTS15SrsLiveConsumer,"aG",@progbits,_ZTS15SrsLiveConsumer,comdat
	.align 16
	.type	_ZTS15SrsLiveConsumer, @object
	.size	_ZTS15SrsLiveConsumer, 18
_ZTS15SrsLiveConsumer:
	.string	"15SrsLiveConsumer"
	.hidden	DW.ref.__gxx_personality_v0
	.weak	DW.ref.__gxx_personality_v0
	.section	.data.rel.local.DW.ref.__gxx_personality_v0,"awG",@progbits,DW.ref.__gxx_personality_v0,comdat
	.align 8
	.type	DW.ref.__gxx_personality_v0, @object
	.size	DW.ref.__gxx_personality_v0, 8
DW.ref.__gxx_personality_v0:
	.quad	__gxx_personality_v0
	.section	.note.GNU-stack,"",@progbits
