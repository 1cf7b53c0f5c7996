/* SPDX-License-Identifier: GPL-2.0-only */
/* What the guest of kvmi_step_insn.c does in handlers; included there alone. */

extern const char handler_db[], handler_db_end[], handler_db32[], handler_db32_end[];
extern const char handler_db16[], handler_db16_end[], handler_syscall[], handler_syscall_end[];
extern const char handler_sysenter[], handler_sysenter_end[];

/* #DB: note RIP, DR6 and RFLAGS, and return. SYSCALL: note R11, and return. */
asm(".pushsection .rodata\n"
	"handler_db: push %rax; push %rbx\n"
	"incq 0xa000; mov 0xa000, %rbx; shl $5, %rbx; and $0xfe0, %ebx\n"
	"mov 16(%rsp), %rax; mov %rax, 0xa000(%rbx)\n"
	"mov 32(%rsp), %rax; mov %rax, 0xa008(%rbx)\n"
	"mov %dr6, %rax; mov %rax, 0xa010(%rbx)\n"
	"mov $0xffff0ff0, %eax; mov %rax, %dr6\n"
	"pop %rbx; pop %rax; iretq\n"
	"handler_db_end:\n"
	"handler_syscall: mov %r11, 0x9800; sysretq\n"
	"handler_syscall_end:\n"
	".code32\n"
	"handler_db32: push %eax; push %ebx\n"
	"incl 0xa000; mov 0xa000, %ebx; shl $5, %ebx; and $0xfe0, %ebx\n"
	"mov 8(%esp), %eax; mov %eax, 0xa000(%ebx)\n"
	"mov 16(%esp), %eax; mov %eax, 0xa008(%ebx)\n"
	"mov %dr6, %eax; mov %eax, 0xa010(%ebx)\n"
	"mov $0xffff0ff0, %eax; mov %eax, %dr6\n"
	"pop %ebx; pop %eax; iret\n"
	"handler_db32_end:\n"
	"handler_sysenter: pushf; mov %ebp, %ecx; sysexit\n"
	"handler_sysenter_end:\n"
	".code16\n"
	"handler_db16: incw 0xa000; iretw\n"
	"handler_db16_end:\n"
	".code64\n"
	".popsection\n");
