// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM, another VM that maps its memory and a tool that does so as well, each a process of
 * its own and all at work; one of them is killed. The others see what is left, and nothing
 * of the dead is left behind.
 */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kvmi_mem_peer.h"

/* Where VMX is emulated a round takes seconds, and on the debug kernel. */
#define ROUNDS		(host_cpu_is_intel ? 7 : 200)
#define FEW_ROUNDS	20
#define ENOUGH_MS	55000
#define WORK		50		/* accesses of each before one is killed */
#define PAGES		4
#define OWN		0x77ull

enum { VMM, PEER, TOOL, NR_PROCESSES };

/* Between the processes. */
struct shared {
	struct kvmi_map_mem_token token;
	bool has_token;
	bool is_mapped;
	bool lost[NR_PROCESSES];	/* it sees that the memory is gone */
	__u64 accesses[NR_PROCESSES];
};

static struct shared *shared;

/* One token at a time goes from the tool to the other VM. */
static bool token_is_there(void)
{
	/* Pairs with the release in pass_token(). */
	return smp_load_acquire(&shared->has_token);
}

/* @there: it can be taken; else it has been. */
static void pass_token(bool there)
{
	/* Pairs with the acquire in token_is_there(). */
	smp_store_release(&shared->has_token, there);
}

static void worked(int who)
{
	WRITE_ONCE(shared->accesses[who], READ_ONCE(shared->accesses[who]) + 1);
}

static void run_vmm(int sock)
{
	struct kvm_vm *vm = vm_create_barebones();
	__u64 *hva = (__u64 *)mem_add_slot(vm, PAGES, 0);

	TEST_ASSERT_EQ(kvmi_hook_fd(vm->fd, sock), 0);
	TEST_ASSERT_EQ(kvmi_feature(vm->fd, KVM_INTROSPECTION_COMMAND, -1, 1), 0);
	close(sock);
	for (int i = 0; ; i++) {
		/* The last page comes and goes. */
		hva[0]++;
		if (!(i % 8))
			madvise(hva + (PAGES - 1) * MEM_PAGE / 8, MEM_PAGE, MADV_DONTNEED);
		worked(VMM);
	}
}

static void run_peer(void)
{
	struct peer peer;
	__u64 val;

	peer_create(&peer);
	for (int i = 0; i < PAGES; i++)
		*(__u64 *)(peer.hva + i * MEM_PAGE) = OWN;
	for (int i = 0; i < PAGES; i++) {
		KVMI_WAIT(token_is_there(), "a token");
		*peer.token = shared->token;
		pass_token(false);
		/* The VM may be gone already. */
		if (peer_map(&peer, MEM_GPA + i * MEM_PAGE, PEER_GPA + i * MEM_PAGE))
			break;
	}
	for (int i = 0; ; i++) {
		val = peer_read(&peer, PEER_GPA);
		if (val == OWN)
			WRITE_ONCE(shared->lost[PEER], true);
		peer_write(&peer, PEER_GPA + (i % (PAGES - 1) + 1) * MEM_PAGE + 8, i);
		worked(PEER);
	}
}

/* Waits until the VMM has allowed everything. */
static int first_token(struct kvmi_tool *tool, struct kvmi_map_mem_token *token)
{
	int r;

	do
		r = mem_token(tool, token);
	while (r == -KVM_EPERM);
	return r;
}

static void run_tool(int sock)
{
	static struct kvmi_tool tool;
	struct kvmi_map_mem_token token;
	int file;
	__u8 *p;

	kvmi_tool_init(&tool, sock);
	TEST_ASSERT_EQ(first_token(&tool, &token), 0);
	/* Writing may not be allowed yet. */
	while ((file = mem_open(&token, KVMI_MEM_WRITABLE)) == -EACCES)
		TEST_ASSERT_EQ(mem_token(&tool, &token), 0);
	TEST_ASSERT(file >= 0, "KVMI_MEM_OPEN: %s", strerror(-file));
	p = mem_mmap(file, MEM_GPA, PAGES, PROT_READ | PROT_WRITE);

	for (int i = 0; i < PAGES; i++) {
		TEST_ASSERT_EQ(mem_token(&tool, &shared->token), 0);
		pass_token(true);
		KVMI_WAIT(!token_is_there(), "the other VM to take a token");
	}
	WRITE_ONCE(shared->is_mapped, true);
	for (int i = 0; ; i++) {
		if (mem_read(p) < 0 || mem_write(&p[(i % (PAGES - 1) + 1) * MEM_PAGE + 16], i) < 0)
			WRITE_ONCE(shared->lost[TOOL], true);
		worked(TOOL);
	}
}

static pid_t start(int who, int sock, int other)
{
	pid_t pid = fork();

	TEST_ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (pid)
		return pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(other);
	if (who == VMM)
		run_vmm(sock);
	if (who == TOOL)
		run_tool(sock);
	close(sock);
	run_peer();
	_exit(1);
}

static void expect_work(int who)
{
	__u64 before = READ_ONCE(shared->accesses[who]);

	KVMI_WAIT(READ_ONCE(shared->accesses[who]) >= before + WORK, "a process to work");
}

static void bury(pid_t *pid)
{
	int status;

	KVMI_WAIT(waitpid(*pid, &status, WNOHANG) == *pid, "a process to die");
	TEST_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", status);
	*pid = 0;
}

static void round_of(int victim)
{
	pid_t pid[NR_PROCESSES];
	int sv[2];

	memset(shared, 0, sizeof(*shared));
	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair: %s", strerror(errno));
	pid[VMM] = start(VMM, sv[0], sv[1]);
	pid[TOOL] = start(TOOL, sv[1], sv[0]);
	pid[PEER] = start(PEER, sv[0], sv[1]);
	close(sv[0]);
	close(sv[1]);
	KVMI_WAIT(READ_ONCE(shared->is_mapped), "everything to be mapped");
	for (int i = 0; i < NR_PROCESSES; i++)
		expect_work(i);

	kill(pid[victim], SIGKILL);
	bury(&pid[victim]);
	if (victim != PEER)
		KVMI_WAIT(READ_ONCE(shared->lost[PEER]), "the other VM to see its own page");
	if (victim == VMM)
		KVMI_WAIT(READ_ONCE(shared->lost[TOOL]), "the tool to lose the memory");
	for (int i = 0; i < NR_PROCESSES; i++)
		if (pid[i])
			expect_work(i);
	/* The others all at once. */
	for (int i = 0; i < NR_PROCESSES; i++)
		if (pid[i])
			kill(pid[i], SIGKILL);
	for (int i = 0; i < NR_PROCESSES; i++)
		if (pid[i])
			bury(&pid[i]);
}

/* The device is there as long as there is a VM that was hooked. */
static bool vms_are_gone(void)
{
	return access(MEM_DEVICE, F_OK) && errno == ENOENT;
}

static void rounds(int victim)
{
	__u64 end = kvmi_now_ms() + ENOUGH_MS;
	int n;

	shared = mmap(NULL, MEM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(shared != MAP_FAILED, "mmap: %s", strerror(errno));
	for (n = 0; n < ROUNDS && (n < FEW_ROUNDS || kvmi_now_ms() < end); n++)
		round_of(victim);
	KVMI_WAIT(vms_are_gone(), "all VMs to be gone");
	printf("# %d kills\n", n);
}

FIXTURE(kvmi_mem_kill) { };
FIXTURE_SETUP(kvmi_mem_kill) { }
FIXTURE_TEARDOWN(kvmi_mem_kill) { }

#define CASE(name) TEST_F_TIMEOUT(kvmi_mem_kill, name, KVMI_TEST_TIMEOUT_S)

CASE(vmm)
{
	rounds(VMM);
}

CASE(other_vm)
{
	rounds(PEER);
}

CASE(tool)
{
	rounds(TOOL);
}

KVMI_TEST_MAIN()
