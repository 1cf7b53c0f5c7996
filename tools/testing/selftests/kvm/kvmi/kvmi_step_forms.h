/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instructions that are stepped one by one: FORM(mode, name, steps, code, ...)
 * for each; kvmi_step_insn_test.c says what becomes of them. Registers at the start:
 * see kvmi_step_insn.c. Included once, in the middle of that program.
 */

#define MODE_LONG	".code64"
#define MODE_USER	".code64"
#define MODE_COMPAT	".code32"
#define MODE_PROT32	".code32"
#define MODE_PROT16	".code16"
#define MODE_REAL	".code16"

/* The guest executes a copy at CODE: the address of label 1 is CODE+1f-9b. */
#define FORM(m, name, n, text, ...)						\
extern const char form_##name[], form_##name##_end[];				\
asm(".pushsection .rodata\n" MODE_##m "\n"					\
	"9: form_" #name ": " text "\nform_" #name "_end:\n.code64\n.popsection");	\
FIXTURE_VARIANT_ADD(kvmi_step_insn, name) {					\
	.form = {								\
		.code = form_##name, .code_end = form_##name##_end,		\
		.mode = m, .steps = n, ##__VA_ARGS__				\
	},									\
}

/* The guest sets TF itself. */
#define TRAP_FORM(m, name, text)	FORM(m, name, 0, text, .traps = true)
#define XSAVE_FORM(name, n, text)	FORM(LONG, name, n, text, .needs = NEEDS_XSAVE)

/* --- what the trap flag could show itself in ----------------------------------- */

FORM(LONG, pushf, 1, "pushfq");
FORM(LONG, pushf_16bit, 1, "pushfw");
FORM(USER, pushf_in_user_mode, 1, "pushfq");
FORM(COMPAT, pushf_in_32bit_user_mode, 2, "pushfl; pushfw");
FORM(LONG, popf, 2, "pushq $0xcd7; popfq");
FORM(LONG, popf_16bit, 2, "pushw $0x0d5; popfw");
FORM(USER, popf_in_user_mode, 3, "pushq $0x30cd7; popfq; pushfq");
FORM(LONG, lahf_sahf, 4, "lahf; mov %ah, (%rdi); mov $0xff, %ah; sahf");
FORM(LONG, int_and_iret, 3, "int $0x80; pushfq");
FORM(LONG, int_handled, 1, "int $0x81");
FORM(LONG, int_with_prefix, 2, ".byte 0x48, 0x2e; int $0x80");
FORM(LONG, int3, 1, "int3");
FORM(LONG, int_3, 1, "int $3");
FORM(USER, int_in_user_mode, 3, "int $0x82; pushfq");
FORM(COMPAT, int_in_32bit_user_mode, 3, "int $0x82; pushfl");
FORM(LONG, iret, 7, "mov %rsp, %rax; pushq $KDATA; push %rax; pushq $0x3046; pushq $KCODE;"
	"push $CODE+1f-9b; iretq; 1:");
FORM(LONG, iret_to_user_mode, 7, "pushq $UDATA; pushq $STACK; pushq $0x3046; pushq $UCODE;"
	"pushq $CODE+1f-9b; iretq; 1: pushfq");
FORM(LONG, iret_to_32bit_user_mode, 7, "pushq $UDATA; pushq $STACK; pushq $0x3046;"
	"pushq $UCODE32; pushq $CODE+1f-9b; iretq; 1: pushfq");
FORM(LONG, iret_32bit, 6, "push %rbx; movl $0x3046, 8(%rsp); movl $KCODE, 4(%rsp);"
	"movl $CODE+1f-9b, (%rsp); iretl; 1: pushfq");
FORM(USER, syscall_and_sysret, 5, "syscall; mov %r11, (%rdi); pushfq");
FORM(LONG, syscall_in_kernel_mode, 4, "syscall; pushfq");
FORM(LONG, sysret_32bit, 4, "mov $CODE+1f-9b, %ecx; mov $0x3046, %r11d; sysretl; 1: pushfq");
FORM(LONG, mov_to_ss, 3, "mov %ss, %eax; mov %eax, %ss; pushfq");
FORM(LONG, mov_to_ss_twice, 4, "mov %ss, %eax; mov %eax, %ss; mov %eax, %ss; pushfq");
FORM(LONG, mov_to_ss_then_int, 5, "mov %ss, %eax; mov %eax, %ss; int $0x80; pushfq");
FORM(LONG, mov_to_ss_then_fault, 3, "mov %ss, %eax; mov %eax, %ss; ud2");
FORM(LONG, mov_to_ss_then_cpuid, 5, "xor %eax, %eax; mov %ss, %edx; mov %edx, %ss; cpuid;"
	"pushfq");
FORM(LONG, lss, 4, "movl $STACK, (%rdi); movw $KDATA, 4(%rdi); lss (%rdi), %esp; pushfq");
FORM(PROT32, pop_ss, 3, "push %ss; pop %ss; pushf");
FORM(PROT32, mov_to_ss_32bit, 3, "mov %ss, %eax; mov %eax, %ss; pushf");
FORM(REAL, pop_ss_real, 3, "push %ss; pop %ss; pushf");
FORM(LONG, sti, 3, "sti; pushfq; cli");
FORM(LONG, sti_shadow, 3, "sti; nop; cli");
FORM(LONG, cli, 2, "cli; pushfq");
FORM(USER, sti_in_user_mode, 3, "sti; pushfq; cli");
FORM(LONG, debug_registers, 6, "mov %rbx, %dr0; mov %dr0, %rax; mov %dr6, %rcx; mov %dr7, %rdx;"
	"mov %rdx, %dr7; pushfq");
FORM(LONG, dr6_keeps_what_it_has, 4, "mov $0xffff0ff2, %eax; mov %rax, %dr6; mov %dr6, %rbx;"
	"nop");
FORM(LONG, dr6_keeps_a_trap, 5, "mov $0xffff4ff1, %eax; mov %rax, %dr6; mov %dr6, %rbx; nop;"
	"mov %dr6, %rcx");
FORM(LONG, debugctl, 4, "mov $0x1d9, %ecx; rdmsr; nop; pushfq");

/* --- the guest traps itself ------------------------------------------------------- */

TRAP_FORM(LONG, own_trap, "pushq $0x3102; popfq; nop; mov $1, %eax; pushq $0x3002; popfq; nop");
TRAP_FORM(LONG, own_trap_of_pushf, "pushq $0x3102; popfq; pushfq; pushq $0x3002; popfq; nop");
TRAP_FORM(LONG, own_trap_of_int, "pushq $0x3102; popfq; int $0x80; nop; pushq $0x3002; popfq;"
	"nop");
TRAP_FORM(LONG, own_trap_of_cpuid, "xor %eax, %eax; pushq $0x3102; popfq; cpuid; nop;"
	"pushq $0x3002; popfq; nop");
TRAP_FORM(LONG, own_trap_of_strings, "pushq $0x3102; popfq; rep movsb; pushq $0x3002; popfq;"
	"nop");
TRAP_FORM(LONG, own_trap_of_fault, "pushq $0x3102; popfq; ud2");
TRAP_FORM(LONG, own_trap_of_page_fault, "pushq $0x3102; popfq; mov UNMAPPED, %rax");
TRAP_FORM(LONG, own_trap_by_iret, "mov %rsp, %rax; pushq $KDATA; push %rax; pushq $0x3102;"
	"pushq $KCODE; pushq $CODE+1f-9b; iretq; 1: nop; nop; pushq $0x3002; popfq; nop");
TRAP_FORM(LONG, own_trap_of_mov_to_ss, "mov %ss, %eax; pushq $0x3102; popfq; mov %eax, %ss; nop;"
	"nop; pushq $0x3002; popfq; nop");
TRAP_FORM(USER, own_trap_of_syscall, "pushq $0x3102; popfq; syscall; nop; mov %r11, (%rdi);"
	"pushq $0x3002; popfq; nop");
TRAP_FORM(LONG, own_trap_by_sysret, "mov $CODE+1f-9b, %ecx; mov $0x3102, %r11d; sysretq; 1: nop;"
	"nop; pushq $0x3002; popfq; nop");
TRAP_FORM(PROT32, own_trap_32bit, "pushl $0x3102; popf; nop; inc %eax; pushl $0x3002; popf;"
	"nop");
TRAP_FORM(REAL, own_trap_real, "pushw $0x3102; popf; nop; inc %ax; pushw $0x3002; popf; nop");

/* --- exceptions -------------------------------------------------------------------- */

FORM(LONG, divide_error, 2, "xor %ecx, %ecx; div %ecx");
FORM(LONG, invalid_opcode, 1, "ud2");
FORM(LONG, general_protection, 2, "movabs $0x8000000000000000, %rax; mov (%rax), %rbx");
FORM(LONG, general_protection_with_code, 2, "mov $0xfff8, %eax; mov %eax, %fs");
FORM(LONG, segment_not_present, 2, "mov $ABSENT, %eax; mov %eax, %fs");
FORM(LONG, stack_fault, 3, "movabs $0x8000000000000000, %rax; mov %rax, %rsp; push %rax");
FORM(LONG, page_fault_read, 1, "mov UNMAPPED, %rax");
FORM(LONG, page_fault_write, 1, "movl $1, UNMAPPED+0x123");
FORM(LONG, page_fault_execute, 3, "mov $UNMAPPED, %eax; jmp *%rax");
FORM(LONG, page_fault_of_push, 2, "mov $UNMAPPED+8, %esp; push %rax");
FORM(LONG, page_fault_of_pushf, 2, "mov $UNMAPPED+8, %esp; pushfq");
FORM(LONG, page_fault_of_call, 2, "mov $UNMAPPED+8, %esp; call 1f; 1:");
FORM(LONG, page_fault_of_string, 0, "mov $UNMAPPED-3, %edi; rep movsb");
FORM(LONG, page_fault_of_popf, 2, "mov $UNMAPPED, %esp; popfq");
FORM(USER, page_fault_in_user_mode, 1, "mov UNMAPPED, %rax");
FORM(USER, invalid_opcode_in_user_mode, 1, "ud2");
FORM(USER, hlt_in_user_mode, 1, "hlt");
FORM(USER, mov_to_cr3_in_user_mode, 1, "mov %rax, %cr3");
FORM(USER, alignment_check, 4, "pushfq; orl $0x40000, (%rsp); popfq; mov 1(%rdi), %eax");
FORM(LONG, device_not_available, 4, "mov %cr0, %rax; or $8, %eax; mov %rax, %cr0; fnop");
FORM(LONG, x87_error, 7, "fninit; movw $0x37b, (%rdi); fldcw (%rdi); fld1; fldz; fdivrp; fwait");
FORM(LONG, simd_error, 4, "movl $0x1d80, (%rdi); ldmxcsr (%rdi); xorps %xmm0, %xmm0;"
	"divss %xmm0, %xmm0");
FORM(PROT32, bound_range, 3, "movl $9, (%edi); movl $10, 4(%edi); bound %eax, (%edi)");
FORM(PROT32, into, 1, "into");
FORM(PROT32, into_without_overflow, 2, "xor %eax, %eax; into");
FORM(PROT32, invalid_opcode_32bit, 1, "ud2");
FORM(REAL, divide_error_real, 2, "xor %cx, %cx; div %cx");
FORM(REAL, into_real, 1, "into");
FORM(REAL, int3_real, 1, "int3");

/* --- what makes the processor exit to KVM -------------------------------------------- */

FORM(LONG, cpuid, 2, "xor %eax, %eax; cpuid");
FORM(LONG, rdtsc, 3, "rdtsc; xor %eax, %eax; xor %edx, %edx");
FORM(LONG, msrs, 5, "mov $0xc0000102, %ecx; rdmsr; mov $0x4000, %eax; wrmsr; rdmsr");
FORM(LONG, wrmsr_not_allowed, 2, "mov $0xdead, %ecx; wrmsr");
FORM(LONG, mov_to_cr3, 2, "mov %cr3, %rax; mov %rax, %cr3");
FORM(LONG, mov_to_cr0, 5, "mov %cr0, %rax; or $8, %rax; mov %rax, %cr0; clts; smsw %ebx");
FORM(LONG, mov_to_cr4, 3, "mov %cr4, %rax; xor $4, %rax; mov %rax, %cr4");
FORM(LONG, mov_to_cr8, 3, "mov $3, %eax; mov %rax, %cr8; mov %cr8, %rbx");
FORM(LONG, in_and_out, 3, "out %al, %dx; in %dx, %eax; out %eax, $0xe2");
FORM(LONG, in_and_out_strings, 0, "rep outsb; mov $3, %ecx; rep insl");
FORM(LONG, mmio, 4, "mov MMIO, %eax; mov %al, MMIO+3; mov MMIO, %rbx; movl $7, MMIO+8");
FORM(LONG, mmio_read_and_write, 1, "addl $7, MMIO");
FORM(LONG, mmio_string, 0, "mov $MMIO, %edi; rep movsb");
FORM(LONG, push_from_mmio, 1, "pushq MMIO");
FORM(LONG, vmcall, 2, ".byte 0x0f, 0x01, 0xc1; pushfq");
FORM(LONG, vmmcall, 2, ".byte 0x0f, 0x01, 0xd9; pushfq");
FORM(LONG, wbinvd, 2, "wbinvd; pushfq");
FORM(LONG, invd, 2, "invd; pushfq");
FORM(LONG, invlpg, 2, "invlpg (%rdi); mov (%rdi), %rax");
FORM(LONG, rdpmc, 2, "mov $0x1234, %ecx; rdpmc");
XSAVE_FORM(xgetbv, 2, "xor %ecx, %ecx; xgetbv");
XSAVE_FORM(xsetbv, 3, "xor %ecx, %ecx; xgetbv; xsetbv");
FORM(LONG, fences, 3, "lfence; mfence; clflush (%rdi)");
FORM(LONG, pause, 2, "pause; pushfq");
FORM(LONG, swapgs, 3, "swapgs; swapgs; swapgs");
FORM(LONG, descriptor_tables, 6, "sgdt (%rdi); lgdt (%rdi); sidt 16(%rdi); lidt 16(%rdi);"
	"sldt %eax; str %ebx");

/* --- the rest -------------------------------------------------------------------------- */

FORM(LONG, nop, 1, "nop");
FORM(LONG, mov, 3, "mov %rax, %r8; movabs $0x1122334455667788, %r9; mov %ax, (%rdi)");
FORM(LONG, arithmetic, 5, "add %eax, %eax; adc %rbx, %rax; sub $6, %rcx; neg %rdx;"
	"imul %rax, %r8");
FORM(LONG, bits, 4, "bts %rcx, (%rdi); bswap %rax; shld $3, %rax, %rbx; cmovc %r8, %r9");
FORM(LONG, rep_movs, 0, "rep movsb");
FORM(LONG, rep_stos, 0, "rep stosq");
FORM(LONG, rep_stos_backwards, 0, "std; rep stosl; cld");
FORM(LONG, repne_scas, 0, "movb %al, 3(%rdi); repne scasb");
FORM(LONG, rep_of_nothing, 3, "xor %ecx, %ecx; rep movsb; rep stosq");
FORM(LONG, loop, 10, "1: inc %rax; loop 1b");
FORM(LONG, code_changes_itself, 4, "movb $1, CODE+1f-9b+1; jmp 2f; 2: 1: .byte 0xeb, 0; cwtl;"
	"nop");
FORM(LONG, call_and_ret, 4, "call 1f; jmp 2f; 1: ret; 2: nop");
FORM(LONG, ret_and_pop, 4, "push %rax; pushq $CODE+1f-9b; ret $8; nop; 1: nop");
FORM(LONG, far_ret, 4, "pushq $KCODE; pushq $CODE+1f-9b; lretq; 1: nop");
FORM(LONG, far_ret_to_user_mode, 6, "pushq $UDATA; pushq $STACK; pushq $UCODE; pushq $CODE+1f-9b;"
	"lretq; 1: pushfq");
FORM(LONG, far_jump, 4, "movl $CODE+1f-9b, (%rdi); movl $KCODE, 4(%rdi); ljmp *(%rdi); 1: nop");
FORM(LONG, enter_and_leave, 2, "enter $16, $1; leave");
FORM(LONG, push_and_pop_fs, 4, "push %fs; pop %fs; push %gs; pop %gs");
FORM(LONG, load_fs, 3, "mov $EXTRA, %eax; mov %eax, %fs; movb %fs:0x10, %al");
FORM(LONG, fxsave, 2, "fxsave (%rdi); fxrstor (%rdi)");
XSAVE_FORM(xsave, 4, "mov $3, %eax; xor %edx, %edx; xsave (%rdi); xrstor (%rdi)");
FORM(LONG, sse, 4, "movups (%rsi), %xmm0; movups %xmm0, (%rdi); paddq %xmm0, %xmm0;"
	"cvtsi2sd %rcx, %xmm1");
FORM(LONG, x87, 3, "fld1; fadd %st(0); fstpl (%rdi)");
FORM(LONG, lock_cmpxchg, 3, "mov (%rdi), %rax; lock cmpxchg %rcx, (%rdi);"
	"cmpxchg %rcx, 8(%rdi)");
FORM(LONG, lock_cmpxchg16b, 3, "mov (%rdi), %rax; mov 8(%rdi), %rdx; lock cmpxchg16b (%rdi)");
FORM(LONG, xchg, 3, "xchg %rax, (%rdi); lock xadd %rcx, (%rdi); xchg %rax, %rcx");
FORM(LONG, verify_segments, 3, "mov $UDATA, %eax; verr %ax; lar %ax, %ebx");
FORM(PROT32, pusha_and_popa, 2, "pusha; popa");
FORM(PROT32, flags_32bit, 6, "pushl $0x30cd7; popf; pushf; int $0x80; pushf");
FORM(PROT32, int3_32bit, 1, "int3");
FORM(PROT32, far_call_32bit, 3, "lcall $KCODE32, $CODE+1f-9b; 1: nop; nop");
FORM(PROT32, load_segments_32bit, 4, "mov $EXTRA, %eax; mov %eax, %fs; push %fs;"
	"les (%esp), %ecx");
FORM(PROT32, decimal, 3, "aaa; das; aam");
FORM(PROT32, sysenter_and_sysexit, 7, "mov $CODE+1f-9b, %edx; mov %esp, %ebp; sysenter; nop;"
	"1: pushf");
FORM(PROT32, jump_to_16bit_code, 2, "ljmp $KCODE16, $CODE+1f-9b; 1: nop");
FORM(PROT16, code_16bit, 5, "pushf; mov %ax, (%di); push %ss; pop %ss; pushf");
FORM(COMPAT, pusha_in_32bit_user_mode, 3, "pusha; popa; pushf");
FORM(COMPAT, push_and_pop_fs_32bit, 2, "push %fs; pop %fs");
FORM(REAL, flags_real, 6, "pushw $0xcd7; popf; pushf; int $0x80; pushf");
FORM(REAL, far_call_real, 4, "lcall $0, $CODE+1f-9b; jmp 2f; 1: lret; 2: nop");
FORM(REAL, strings_real, 0, "rep movsb; std; rep stosw; cld");
FORM(REAL, wide_operands_real, 3, "add %eax, %eax; pushfl; movl %eax, (%di)");
FORM(REAL, pusha_real, 2, "pusha; popa");
FORM(REAL, enter_real, 3, "cli; enter $8, $0; leave");
FORM(REAL, load_segments_real, 3, "mov $0x123, %ax; mov %ax, %es; push %es");
FORM(REAL, to_protected_mode, 4, "mov %cr0, %eax; or $1, %al; mov %eax, %cr0; nop");
