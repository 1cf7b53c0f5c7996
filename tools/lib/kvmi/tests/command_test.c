// SPDX-License-Identifier: LGPL-2.1-or-later
/* Every wrapper: the bytes it sends, the reply it takes, the errors it gives. */
#include "peer.h"

static uint8_t msg[8192];

static int sent(int fd, uint16_t id, const void *payload, size_t size)
{
	struct kvmi_msg_hdr hdr;
	size_t n = peer_receive(fd, msg, sizeof(msg));

	memcpy(&hdr, msg, sizeof(hdr));
	return n == sizeof(hdr) + size && hdr.id == id && hdr.size == size &&
	       !memcmp(msg + sizeof(hdr), payload, size);
}

static void version(void)
{
	const uint8_t reply[16] = { 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0, 5 };
	struct kvmi_features f;
	struct kvmintro *k;
	uint32_t v;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_GET_VERSION, 1, 0, reply, 16);
	ok(!kvmintro_get_version(k, &v, &f) && v == 1 && f.spp && !f.vmfunc &&
	   !f.eptp && f.ve && f.singlestep && !f.descriptor && f.page_access ==
	   (KVMI_PAGE_ACCESS_RESTRICTED | KVMI_PAGE_ACCESS_EXEC_ONLY), "get_version");
	ok(sent(fd, KVMI_GET_VERSION, "", 0), "get_version: request");
	memset(&f, 0xff, sizeof(f));
	peer_reply(fd, KVMI_GET_VERSION, 2, 0, reply, 8);
	ok(!kvmintro_get_version(k, &v, &f) && v == 1 && !f.spp && !f.singlestep,
	   "get_version: a kernel that sends no features");
	peer_reply(fd, KVMI_GET_VERSION, 3, 0, reply, 4);
	ok(kvmintro_get_version(k, &v, &f) == -EPROTO, "get_version: too short");
	peer_reply(fd, KVMI_GET_VERSION, 4, 0, reply, 16);
	ok(!kvmintro_get_version(k, &v, NULL), "and the connection goes on");
	peer_close(k, fd);
}

static void vm_commands(void)
{
	const uint64_t pair[] = { 0x100, 0x200 };
	const struct kvmi_vm_get_info_reply info = { .vcpu_count = 3 };
	uint64_t first, pages, gfn;
	struct kvmintro *k;
	uint32_t count;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_CHECK_COMMAND, 1, 0, NULL, 0);
	ok(!kvmintro_check_command(k, 39) &&
	   sent(fd, KVMI_VM_CHECK_COMMAND, "\x27\0\0\0\0\0\0\0", 8), "check_command");
	peer_reply(fd, KVMI_VM_CHECK_EVENT, 2, -KVM_EPERM, NULL, 0);
	ok(kvmintro_check_event(k, 6) == -EPERM &&
	   sent(fd, KVMI_VM_CHECK_EVENT, "\6\0\0\0\0\0\0\0", 8), "check_event");
	peer_reply(fd, KVMI_VM_GET_INFO, 3, 0, &info, sizeof(info));
	ok(!kvmintro_get_vcpu_count(k, &count) && count == 3 &&
	   sent(fd, KVMI_VM_GET_INFO, "", 0), "get_vcpu_count");
	peer_reply(fd, KVMI_VM_GET_MAX_GFN, 4, 0, pair, 8);
	ok(!kvmintro_get_max_gfn(k, &gfn) && gfn == 0x100 &&
	   sent(fd, KVMI_VM_GET_MAX_GFN, "", 0), "get_max_gfn");
	peer_reply(fd, KVMI_VM_QUERY_PHYSICAL, 5, 0, pair, 16);
	ok(!kvmintro_query_physical(k, 0x120, &first, &pages) &&
	   first == 0x100 && pages == 0x200 &&
	   sent(fd, KVMI_VM_QUERY_PHYSICAL, "\x20\1\0\0\0\0\0\0", 8),
	   "query_physical");
	peer_reply(fd, KVMI_VM_CONTROL_EVENTS, 6, 0, NULL, 0);
	ok(!kvmintro_control_vm_event(k, 9, true) &&
	   sent(fd, KVMI_VM_CONTROL_EVENTS, "\x09\0\1\0\0\0\0\0", 8),
	   "control_vm_event");
	peer_close(k, fd);
}

static void memory(void)
{
	static uint8_t pages[3][4096], buf[9000];
	const uint64_t read1[] = { 0x1ff0, 0x10 }, read2[] = { 0x2000, 0x1000 };
	uint64_t last[3] = { 0x3000, 4, 0 };
	struct kvmintro *k;
	int fd, i;

	for (i = 0; i < 3; i++)
		memset(pages[i], 'a' + i, 4096);
	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_READ_PHYSICAL, 1, 0, pages[0], 0x10);
	peer_reply(fd, KVMI_VM_READ_PHYSICAL, 2, 0, pages[1], 0x1000);
	peer_reply(fd, KVMI_VM_READ_PHYSICAL, 3, 0, pages[2], 4);
	ok(!kvmintro_read_physical(k, 0x1ff0, buf, 0x1014) && buf[0xf] == 'a' &&
	   buf[0x10] == 'b' && buf[0x100f] == 'b' && buf[0x1010] == 'c',
	   "a read across three pages");
	ok(sent(fd, KVMI_VM_READ_PHYSICAL, read1, 16) &&
	   sent(fd, KVMI_VM_READ_PHYSICAL, read2, 16) &&
	   sent(fd, KVMI_VM_READ_PHYSICAL, last, 16), "one command per page");

	peer_reply(fd, KVMI_VM_READ_PHYSICAL, 4, 0, pages[0], 15);
	ok(kvmintro_read_physical(k, 0, buf, 16) == -EPROTO, "a read that is short");
	peer_reply(fd, KVMI_VM_READ_PHYSICAL, 5, 0, pages[1], 0x10);
	peer_reply(fd, KVMI_VM_READ_PHYSICAL, 6, -KVM_ENOENT, NULL, 0);
	ok(kvmintro_read_physical(k, 0x1ff0, buf, 32) == -ENOENT && buf[0] == 'b' &&
	   strstr(kvmintro_error(k), "0x2000"), "a hole is named; before it is read");
	for (i = 0; i < 3; i++)
		peer_receive(fd, msg, sizeof(msg));

	peer_reply(fd, KVMI_VM_WRITE_PHYSICAL, 7, 0, NULL, 0);
	memcpy(&last[2], "wxyz", 4);
	ok(!kvmintro_write_physical(k, 0x3000, "wxyz", 4) &&
	   sent(fd, KVMI_VM_WRITE_PHYSICAL, last, 20), "write_physical");
	ok(!kvmintro_read_physical(k, 0, buf, 0) && !peer_receive(fd, msg, sizeof(msg)),
	   "nothing to read is no command");
	peer_close(k, fd);
}

static void virtual_memory(void)
{
	const uint64_t gpa[] = { 0x5fff, 0x9000, ~0ULL };
	const uint64_t second[] = { 0x9000, 1 };
	struct kvmintro *k;
	uint8_t buf[2];
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VCPU_TRANSLATE_GVA, 1, 0, &gpa[0], 8);
	peer_reply(fd, KVMI_VM_READ_PHYSICAL, 2, 0, "A", 1);
	peer_reply(fd, KVMI_VCPU_TRANSLATE_GVA, 3, 0, &gpa[1], 8);
	peer_reply(fd, KVMI_VM_READ_PHYSICAL, 4, 0, "B", 1);
	ok(!kvmintro_read_virtual(k, 3, 0xffffffff81000fffULL, buf, 2) &&
	   !memcmp(buf, "AB", 2), "read_virtual across pages");
	ok(sent(fd, KVMI_VCPU_TRANSLATE_GVA,
		"\3\0\0\0\0\0\0\0\xff\x0f\0\x81\xff\xff\xff\xff", 16),
	   "translate: request");
	peer_receive(fd, msg, sizeof(msg));
	peer_receive(fd, msg, sizeof(msg));
	ok(sent(fd, KVMI_VM_READ_PHYSICAL, second, 16), "the second page's own address");

	peer_reply(fd, KVMI_VCPU_TRANSLATE_GVA, 5, 0, &gpa[2], 8);
	ok(kvmintro_write_virtual(k, 0, 0x1234, "x", 1) == -EFAULT &&
	   strstr(kvmintro_error(k), "0x1234"), "an address that is not mapped");
	peer_close(k, fd);
}

static void vcpu_commands(void)
{
	const struct kvmi_vcpu_get_cpuid_reply leaf = { 1, 2, 3, 4 };
	struct kvmi_vcpu_get_cpuid_reply got;
	const uint64_t hz = 2400000000;
	struct kvmintro *k;
	uint64_t value;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VCPU_GET_INFO, 1, 0, &hz, 8);
	ok(!kvmintro_get_tsc_speed(k, 2, &value) && value == hz &&
	   sent(fd, KVMI_VCPU_GET_INFO, "\2\0\0\0\0\0\0\0", 8), "get_tsc_speed");
	peer_reply(fd, KVMI_VCPU_PAUSE, 2, 0, NULL, 0);
	ok(!kvmintro_pause_vcpu(k, 258, true) &&
	   sent(fd, KVMI_VCPU_PAUSE, "\2\1\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16),
	   "pause_vcpu");
	peer_reply(fd, KVMI_VCPU_CONTROL_EVENTS, 3, 0, NULL, 0);
	ok(!kvmintro_control_event(k, 1, KVMI_VCPU_EVENT_CR, true) &&
	   sent(fd, KVMI_VCPU_CONTROL_EVENTS, "\1\0\0\0\0\0\0\0\1\0\1\0\0\0\0\0", 16),
	   "control_event");
	peer_reply(fd, KVMI_VCPU_CONTROL_CR, 4, 0, NULL, 0);
	ok(!kvmintro_control_cr(k, 1, 3, true) &&
	   sent(fd, KVMI_VCPU_CONTROL_CR, "\1\0\0\0\0\0\0\0\1\0\0\0\3\0\0\0", 16),
	   "control_cr");
	peer_reply(fd, KVMI_VCPU_GET_CPUID, 5, 0, &leaf, sizeof(leaf));
	ok(!kvmintro_get_cpuid(k, 0, 7, 1, &got) &&
	   !memcmp(&got, &leaf, sizeof(leaf)) &&
	   sent(fd, KVMI_VCPU_GET_CPUID, "\0\0\0\0\0\0\0\0\7\0\0\0\1\0\0\0", 16),
	   "get_cpuid");
	peer_close(k, fd);
}

static void pause_all(void)
{
	const struct kvmi_vm_get_info_reply two = { .vcpu_count = 2 };
	struct kvmintro *k;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_GET_INFO, 1, 0, &two, sizeof(two));
	peer_reply(fd, KVMI_VCPU_PAUSE, 2, 0, NULL, 0);
	peer_event(fd, 1, 0, KVMI_VCPU_EVENT_PAUSE, NULL, 0);
	peer_reply(fd, KVMI_VCPU_PAUSE, 3, 0, NULL, 0);
	ok(kvmintro_pause_all(k) == 2 && kvmintro_pending_events(k) == 1,
	   "pause_all");
	peer_reply(fd, KVMI_VM_GET_INFO, 4, 0, &two, sizeof(two));
	peer_reply(fd, KVMI_VCPU_PAUSE, 5, -KVM_EBUSY, NULL, 0);
	ok(kvmintro_pause_all(k) == -EBUSY, "pause_all: refused");
	peer_close(k, fd);
}

static void registers(void)
{
	static struct {
		struct kvmi_vcpu_get_registers_reply fixed;
		struct kvm_msr_entry msrs[2];
	} reply;
	const uint32_t index[] = { 0xc0000080, 0x10 };
	struct kvmintro_registers r;
	struct kvm_regs set = { .rip = 0x1234, .rax = 1 };
	uint64_t values[2];
	struct kvmintro *k;
	uint8_t request[152] = { 1 };
	int fd;

	reply.fixed.mode = 8;
	reply.fixed.regs.rip = 0xfff0;
	reply.fixed.sregs.cr3 = 0x5000;
	reply.msrs[0] = (struct kvm_msr_entry){ .index = index[0], .data = 0xd01 };
	reply.msrs[1] = (struct kvm_msr_entry){ .index = index[1], .data = 77 };
	k = peer_open(&fd);
	peer_reply(fd, KVMI_VCPU_GET_REGISTERS, 1, 0, &reply, 472 + 32);
	ok(!kvmintro_get_registers(k, 0, &r, index, values, 2) && r.mode == 8 &&
	   r.regs.rip == 0xfff0 && r.sregs.cr3 == 0x5000 && values[0] == 0xd01 &&
	   values[1] == 77, "get_registers");
	ok(sent(fd, KVMI_VCPU_GET_REGISTERS,
		"\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\x80\0\0\xc0\x10\0\0\0", 24),
	   "get_registers: request");
	peer_reply(fd, KVMI_VCPU_GET_REGISTERS, 2, 0, &reply, 472 + 16);
	ok(kvmintro_get_registers(k, 0, &r, index, values, 2) == -EPROTO,
	   "get_registers: an MSR is missing");
	ok(kvmintro_get_registers(k, 0, &r, index, values, 482) == -E2BIG,
	   "get_registers: too many MSRs");
	peer_receive(fd, msg, sizeof(msg));

	peer_reply(fd, KVMI_VCPU_SET_REGISTERS, 3, -KVM_EOPNOTSUPP, NULL, 0);
	ok(kvmintro_set_registers(k, 1, &set) == -EOPNOTSUPP &&
	   strstr(kvmintro_error(k), "pause"), "set_registers: outside an event");
	memcpy(request + 8, &set, sizeof(set));
	ok(sent(fd, KVMI_VCPU_SET_REGISTERS, request, 152), "set_registers: request");
	peer_close(k, fd);
}

static void errors(void)
{
	static const struct { int32_t code; int err; } map[] = {
		{ -1, -EPERM }, { -2, -ENOENT }, { -7, -E2BIG },
		{ -11, -EAGAIN }, { -12, -ENOMEM }, { -14, -EFAULT },
		{ -16, -EBUSY }, { -22, -EINVAL }, { -95, -EOPNOTSUPP },
		{ -1000, -ENOSYS }, { -5, -EREMOTEIO }, { 1, -EREMOTEIO },
		{ INT32_MIN, -EREMOTEIO },
	};
	struct kvmintro *k;
	uint32_t count;
	size_t i;
	int fd;

	k = peer_open(&fd);
	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		/* A kernel that sends data after an error does no harm. */
		peer_reply(fd, KVMI_VM_GET_INFO, i + 1, map[i].code, "surplus",
			   i % 2 ? 7 : 0);
		ok(kvmintro_get_vcpu_count(k, &count) == map[i].err &&
		   strstr(kvmintro_error(k), "VM_GET_INFO"), "error code %d", map[i].code);
	}
	peer_close(k, fd);
}

static void names(void)
{
	ok(!strcmp(kvmintro_command_name(KVMI_VM_GET_INFO), "VM_GET_INFO"), "command name");
	ok(!strcmp(kvmintro_command_name(20), "VM_GET_PAGE_ACCESS") &&
	   !strcmp(kvmintro_command_name(21), "VM_SET_PAGE_ACCESS") &&
	   !strcmp(kvmintro_command_name(80), "VM_SET_PAGE_ACCESS_RANGES") &&
	   !strcmp(kvmintro_event_name(6), "PF"), "names of page access");
	ok(!kvmintro_command_name(12) && !kvmintro_command_name(40) &&
	   !kvmintro_command_name(65535), "no name for unknown commands");
	ok(!strcmp(kvmintro_event_name(KVMI_VCPU_EVENT_CPUID), "CPUID"), "event name");
	ok(!kvmintro_event_name(14) && !kvmintro_event_name(65535),
	   "no name for unknown events");
}

int main(void)
{
	version();
	vm_commands();
	memory();
	virtual_memory();
	vcpu_commands();
	pause_all();
	registers();
	errors();
	names();
	return done();
}
