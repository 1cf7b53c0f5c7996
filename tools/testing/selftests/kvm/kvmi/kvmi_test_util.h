/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_TEST_UTIL_H
#define SELFTEST_KVMI_TEST_UTIL_H

/*
 * What the introspection tests share: the tool's side of the socket, a thread
 * that runs a vCPU, memory that guest and host look at together.
 *
 * Nothing here sleeps: what a test needs is waited for, and a wait that takes
 * longer than KVMI_TIMEOUT_MS fails the test with a message that names it.
 */

#include <asm/barrier.h>
#include <linux/kvmi.h>
#include <pthread.h>

#include "kvm_util.h"
#include "processor.h"

/* Generous: emulated machines are slow, and time passes quickly on some. */
#define KVMI_TIMEOUT_MS		60000
/* Longer than one wait, so that the wait's own message comes first. */
#ifndef KVMI_TEST_TIMEOUT_S
#define KVMI_TEST_TIMEOUT_S	300
#endif

#define KVMI_MAX_VCPUS		2
#define KVMI_EVENT_QUEUE	8

/* --- the tool's side of the socket ---------------------------------------- */

struct kvmi_msg {
	struct kvmi_msg_hdr hdr;
	__u8 data[KVMI_MAX_MSG_SIZE];
};

struct kvmi_event_msg {
	struct kvmi_msg_hdr hdr;
	struct kvmi_event ev;
	union {
		struct kvmi_vcpu_event_cr cr;
		struct kvmi_vcpu_event_msr msr;
		struct kvmi_vcpu_event_xsetbv xsetbv;
		struct kvmi_vcpu_event_breakpoint breakpoint;
		struct kvmi_vcpu_event_trap trap;
		struct kvmi_vcpu_event_descriptor desc;
		struct kvmi_vcpu_event_singlestep singlestep;
		struct kvmi_vcpu_event_cpuid cpuid;
		struct kvmi_vcpu_event_pf pf;
		struct kvmi_vm_event_cmd_error cmd_error;
		__u8 data[256];
	};
};

struct kvmi_tool {
	int fd;
	__u32 seq;			/* of the last command */
	int nr_events;			/* received while waiting for a reply */
	struct kvmi_event_msg events[KVMI_EVENT_QUEUE];
};

void kvmi_tool_init(struct kvmi_tool *tool, int fd);
void kvmi_tool_close(struct kvmi_tool *tool);

/* Write all of it; false if KVM closed the connection. */
bool kvmi_write(struct kvmi_tool *tool, const void *buf, size_t size);
bool kvmi_send(struct kvmi_tool *tool, __u16 id, __u32 seq, const void *data, size_t size);
/* Next message, an event or a reply; false if KVM closed the connection. */
bool kvmi_recv(struct kvmi_tool *tool, struct kvmi_msg *msg);
/* Next message that is no event; events met on the way are queued. */
bool kvmi_recv_reply(struct kvmi_tool *tool, struct kvmi_msg *msg);
void kvmi_expect_closed(struct kvmi_tool *tool);
/*
 * Send GET_VERSION until nothing moves any more, as no reply is read. Returns
 * the number of the last one; they begin at 1.
 */
__u32 kvmi_fill_socket(struct kvmi_tool *tool);

/* Send a command without waiting for its reply; returns its number. */
__u32 kvmi_post(struct kvmi_tool *tool, __u16 id, const void *req, size_t size);
__u32 kvmi_vcpu_post(struct kvmi_tool *tool, __u16 vcpu, __u16 id, const void *body, size_t size);
/*
 * Wait for the reply to command @seq and check every byte that the protocol
 * fixes: id, number, size (8 for an error, else 8 + @reply_size), padding.
 */
int kvmi_collect(struct kvmi_tool *tool, __u16 id, __u32 seq, void *reply, size_t reply_size);
/* Both steps; these return the error code of the reply. */
int kvmi_command(struct kvmi_tool *tool, __u16 id, const void *req, size_t size,
		 void *reply, size_t reply_size);
int kvmi_vcpu_command(struct kvmi_tool *tool, __u16 vcpu, __u16 id, const void *body,
		      size_t size, void *reply, size_t reply_size);

const char *kvmi_err_str(int err);

#define KVMI_ASSERT_ERR(expr, want)						\
do {										\
	int __seen = (expr), __want = (want);					\
										\
	TEST_ASSERT(__seen == __want, "%s: error code %d (%s), expected %d (%s)",	\
		    #expr, __seen, kvmi_err_str(__seen), __want,		\
		    kvmi_err_str(__want));					\
} while (0)
#define KVMI_ASSERT_OK(expr)	KVMI_ASSERT_ERR(expr, 0)

/* Wait for an event and check its fixed parts and the size of its data. */
void kvmi_next_event(struct kvmi_tool *tool, struct kvmi_event_msg *ev);
void kvmi_expect_event(struct kvmi_tool *tool, __u16 vcpu, __u8 id, struct kvmi_event_msg *ev);
void kvmi_reply(struct kvmi_tool *tool, const struct kvmi_event_msg *ev, __u8 action,
		const void *data, size_t size);
void kvmi_reply_cr(struct kvmi_tool *tool, const struct kvmi_event_msg *ev, __u64 new_val);
void kvmi_reply_msr(struct kvmi_tool *tool, const struct kvmi_event_msg *ev, __u64 new_val);
/* Let it take place unchanged. */
void kvmi_continue(struct kvmi_tool *tool, const struct kvmi_event_msg *ev);
/* What was sent before the reply to one more command is in: no event is there. */
void kvmi_expect_no_event(struct kvmi_tool *tool, int vcpu);

/* Short forms of common commands. */
int kvmi_get_version(struct kvmi_tool *tool);
int kvmi_pause(struct kvmi_tool *tool, __u16 vcpu, __u8 wait);
int kvmi_vcpu_events(struct kvmi_tool *tool, __u16 vcpu, __u16 event, __u8 enable);
int kvmi_vm_events(struct kvmi_tool *tool, __u16 event, __u8 enable);
int kvmi_control_cr(struct kvmi_tool *tool, __u16 vcpu, __u32 cr, __u8 enable);
int kvmi_get_regs(struct kvmi_tool *tool, __u16 vcpu, struct kvmi_vcpu_get_registers_reply *r);
int kvmi_set_regs(struct kvmi_tool *tool, __u16 vcpu, const struct kvm_regs *regs);

/* --- the VMM's side ------------------------------------------------------- */

bool kvmi_param_on(void);
int kvmi_hook_fd(int vm_fd, int sock);		/* these return 0 or -errno */
int kvmi_feature(int vm_fd, unsigned long cmd, __s32 id, __u32 allow);
int kvmi_unhook(int vm_fd);
int kvmi_preunhook(int vm_fd);
/* Make a socket pair, hook, allow everything; returns the tool's side. */
int kvmi_hook(int vm_fd);

/* What one vCPU's guest code and the host share. */
struct kvmi_guest {
	__u64 go;		/* the host lets the guest take this many steps */
	__u64 done;		/* steps that the guest has taken */
	__u64 count;		/* grows while the guest runs */
	__u64 val[8];
};

struct kvmi_worker {
	struct kvm_vcpu *vcpu;
	pthread_t thread;
	pid_t tid;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool running;		/* the thread exists */
	bool stop;		/* leave after the next interrupted KVM_RUN */
	bool at_sync;		/* the guest did GUEST_SYNC1() and waits for go */
	bool ended;		/* GUEST_DONE() or an exit other than a ucall */
	__u64 sync;
	__u32 exit_reason;
	int interrupted;	/* KVM_RUNs that returned EINTR */
	unsigned int kicks;	/* signals sent; of two at a time one may be taken */
	unsigned int kicks_taken;
};

struct kvmi_test {
	struct kvm_vm *vm;
	int nr_vcpus;
	struct kvm_vcpu *vcpu[KVMI_MAX_VCPUS];
	struct kvmi_worker worker[KVMI_MAX_VCPUS];
	struct kvmi_guest *guest[KVMI_MAX_VCPUS];
	vm_vaddr_t guest_gva[KVMI_MAX_VCPUS];
	struct kvmi_tool tool;
};

/* A VM with @nr_vcpus, hooked, everything allowed, no vCPU running yet. */
void kvmi_test_setup(struct kvmi_test *t, int nr_vcpus);
/* The same for a VM and vCPUs that the test has made itself. */
void kvmi_test_attach(struct kvmi_test *t, int nr_vcpus);
/* The same without the hook. */
void kvmi_test_prepare(struct kvmi_test *t, int nr_vcpus);
void kvmi_test_teardown(struct kvmi_test *t);
void kvmi_test_rehook(struct kvmi_test *t);
/* Let vCPU @i run guest_code(struct kvmi_guest *) from its start. */
void kvmi_set_guest(struct kvmi_test *t, int i, void *guest_code);
/* Done by kvmi_set_guest(). */
void kvmi_open_to_interrupts(struct kvm_vcpu *vcpu);
void kvmi_run(struct kvmi_test *t, int i);
void kvmi_run_all(struct kvmi_test *t);

void kvmi_worker_start(struct kvmi_worker *w, struct kvm_vcpu *vcpu);
/* Interrupt KVM_RUN once; it is entered again. */
void kvmi_worker_kick(struct kvmi_worker *w);
/* Whether a signal is yet to come; not for one that is sent when another has not come. */
bool kvmi_worker_is_kicked(const struct kvmi_worker *w);
/* The same, and wait until it has returned. */
void kvmi_worker_interrupt(struct kvmi_worker *w);
/* Interrupt KVM_RUN and end the thread; the vCPU is then in userspace. */
void kvmi_worker_stop(struct kvmi_worker *w);
__u64 kvmi_worker_wait_sync(struct kvmi_worker *w);
void kvmi_worker_go(struct kvmi_worker *w);
/* Wait until the vCPU stopped by itself; returns the exit reason. */
__u32 kvmi_worker_wait_end(struct kvmi_worker *w);

__u64 kvmi_now_ms(void);

/* The number in the environment variable @name, or @otherwise. */
__u64 kvmi_env(const char *name, __u64 otherwise);

/* Fail with a message, and tell what each thread runs or waits for. */
__attribute__((format(printf, 1, 2))) void kvmi_timeout(const char *fmt, ...);

/* Poll @cond, which is evaluated again and again; @what names it. */
#define KVMI_WAIT(cond, what)							\
do {										\
	__u64 __end = kvmi_now_ms() + KVMI_TIMEOUT_MS;				\
										\
	while (!(cond)) {							\
		if (kvmi_now_ms() >= __end)					\
			kvmi_timeout("%s", what);					\
		sched_yield();							\
	}									\
} while (0)

/* Call @fn in a thread of its own: it has to come back. */
void kvmi_must_return(void (*fn)(void *arg), void *arg, const char *what);

/* Guest vCPU @i makes progress. */
void kvmi_expect_running(struct kvmi_test *t, int i);
/* Let the guest take one more step / and wait until it has taken it. */
void kvmi_step_begin(struct kvmi_test *t, int i);
void kvmi_step_end(struct kvmi_test *t, int i);

/* --- guests that execute an instruction (kvmi_test_insn.c) ------------------- */

/* Before kvmi_run(): the exits of vCPU @i will be asked for. KVM_RUN keeps others out. */
void kvmi_count_exits(struct kvmi_test *t, int i);
/* VM exits in one step of the guest, those for the host's own interrupts among them. */
__u64 kvmi_exits_of_step(struct kvmi_test *t, int i);
/* After kvmi_set_guest(): the guest code runs at CPL 3 and can take exceptions. */
void kvmi_user_mode(struct kvmi_test *t, int i);
/* Run @code at CPL 0 in 32-bit code without paging; it is copied to KVMI_CODE32_GPA. */
void kvmi_32bit_mode(struct kvmi_test *t, int i, const void *code, size_t size);
#define KVMI_CODE32_GPA	0x1000
/* Answer CRASH: the VM ends before guest @i has finished its step. */
void kvmi_expect_crash(struct kvmi_test *t, int i, const struct kvmi_event_msg *ev);
/* An action that the event does not have: the tool is gone, the guest is not. */
void kvmi_expect_no_action(struct kvmi_test *t, const struct kvmi_event_msg *ev, __u8 action);
/* Set KVM's parameter force_emulation_prefix; returns what it was. */
int kvmi_force_emulation(int value);

/* --- guest code ------------------------------------------------------------ */

#define X86_CR3_PWT	BIT_ULL(3)
#define X86_CR3_PCD	BIT_ULL(4)

/* By RAX, so that a test knows what the instruction looks like: 0f 22 /cr. */
static inline void set_cr0(__u64 val)
{
	asm volatile("mov %0, %%cr0" : : "a"(val) : "memory");
}

static inline void set_cr3(__u64 val)
{
	asm volatile("mov %0, %%cr3" : : "a"(val) : "memory");
}

/* Count until the host lets the guest take step @n. */
static inline void guest_wait(struct kvmi_guest *g, __u64 n)
{
	/* Pairs with the release in kvmi_step_begin(): what the host has prepared is there. */
	while (smp_load_acquire(&g->go) < n) {
		WRITE_ONCE(g->count, g->count + 1);
		cpu_relax();
	}
}

static inline void guest_done(struct kvmi_guest *g, __u64 n)
{
	/* Pairs with the acquire in kvmi_step_end(): the step's results are stored. */
	smp_store_release(&g->done, n);
}

void guest_spin(struct kvmi_guest *g);		/* counts for ever */
/* Writes CR3 once in each step, with PWT set in odd ones; val[0] is CR3 then. */
void guest_cr3_steps(struct kvmi_guest *g);
/* Writes CR3 again and again; both counters grow. */
void guest_cr3_writes(struct kvmi_guest *g);

/* Skip the whole program, with the reason, on a kernel that cannot be tested. */
void kvmi_require(void);

#endif /* SELFTEST_KVMI_TEST_UTIL_H */
