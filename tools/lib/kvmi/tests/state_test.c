// SPDX-License-Identifier: LGPL-2.1-or-later
/* The wrappers for a vCPU's state and exceptions: what they send and take. */
#include "peer.h"

static uint8_t msg[8192];

/* The next message is the command @id for vCPU 1 with @size bytes @body. */
static int sent(int fd, uint16_t id, const void *body, size_t size)
{
	struct kvmi_msg_hdr hdr;
	size_t n = peer_receive(fd, msg, sizeof(msg));

	memcpy(&hdr, msg, sizeof(hdr));
	return n == 16 + size && hdr.id == id && hdr.size == 8 + size &&
	       !memcmp(msg + 8, "\1\0\0\0\0\0\0", 8) &&
	       !memcmp(msg + 16, body, size);
}

static void control(void)
{
	struct kvmintro *k;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VCPU_CONTROL_MSR, 1, 0, NULL, 0);
	ok(!kvmintro_control_msr(k, 1, 0xc0000082, true) &&
	   sent(fd, KVMI_VCPU_CONTROL_MSR, "\1\0\0\0\x82\0\0\xc0", 8), "control_msr");
	peer_reply(fd, KVMI_VCPU_CONTROL_MSR, 2, -KVM_EINVAL, NULL, 0);
	ok(kvmintro_control_msr(k, 1, 0x6e0, false) == -EINVAL &&
	   strstr(kvmintro_error(k), "0x6e0 cannot be watched") &&
	   sent(fd, KVMI_VCPU_CONTROL_MSR, "\0\0\0\0\xe0\6\0\0", 8),
	   "control_msr: a register that cannot be watched");
	peer_reply(fd, KVMI_VCPU_CONTROL_MSR, 3, -KVM_EBUSY, NULL, 0);
	ok(kvmintro_control_msr(k, 1, 0x10, true) == -EBUSY &&
	   strstr(kvmintro_error(k), "256"), "control_msr: too many");
	peer_receive(fd, msg, sizeof(msg));

	peer_reply(fd, KVMI_VCPU_CONTROL_SINGLESTEP, 4, 0, NULL, 0);
	ok(!kvmintro_control_singlestep(k, 1, true) &&
	   sent(fd, KVMI_VCPU_CONTROL_SINGLESTEP, "\1\0\0\0\0\0\0", 8),
	   "control_singlestep");
	peer_reply(fd, KVMI_VCPU_CONTROL_SINGLESTEP, 5, -KVM_EOPNOTSUPP, NULL, 0);
	ok(kvmintro_control_singlestep(k, 1, true) == -EOPNOTSUPP &&
	   strstr(kvmintro_error(k), "processor"), "control_singlestep: not here");
	peer_reply(fd, KVMI_VCPU_CONTROL_SINGLESTEP, 6, -KVM_EBUSY, NULL, 0);
	ok(kvmintro_control_singlestep(k, 1, true) == -EBUSY &&
	   strstr(kvmintro_error(k), "debug"), "control_singlestep: the VMM debugs");
	peer_close(k, fd);
}

static void inject(void)
{
	static const struct { int32_t code; int err; const char *text; } map[] = {
		{ -KVM_EBUSY, -EBUSY, "TRAP" }, { -KVM_EOPNOTSUPP, -EOPNOTSUPP, "later" },
		{ -KVM_EINVAL, -EINVAL, "INJECT" }, { -KVM_EPERM, -EPERM, "VMM" },
	};
	struct kvmintro *k;
	size_t i;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VCPU_INJECT_EXCEPTION, 1, 0, NULL, 0);
	ok(!kvmintro_inject_exception(k, 1, 14, 4, 0x123456789abc) &&
	   sent(fd, KVMI_VCPU_INJECT_EXCEPTION,
		"\x0e\0\0\0\4\0\0\0\xbc\x9a\x78\x56\x34\x12\0", 16),
	   "inject_exception");
	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		peer_reply(fd, KVMI_VCPU_INJECT_EXCEPTION, i + 2, map[i].code, NULL, 0);
		ok(kvmintro_inject_exception(k, 1, 2, 0, 0) == map[i].err &&
		   strstr(kvmintro_error(k), map[i].text),
		   "inject_exception: error %d", map[i].code);
	}
	peer_close(k, fd);
}

static void small_state(void)
{
	const uint64_t seven = 7;
	struct kvmintro *k;
	uint64_t value;
	uint8_t type;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VCPU_GET_XCR, 1, 0, &seven, 8);
	ok(!kvmintro_get_xcr(k, 1, 0, &value) && value == 7 &&
	   sent(fd, KVMI_VCPU_GET_XCR, "\0\0\0\0\0\0\0", 8), "get_xcr");
	peer_reply(fd, KVMI_VCPU_GET_XCR, 2, 0, &seven, 7);
	ok(kvmintro_get_xcr(k, 1, 1, &value) == -EPROTO &&
	   sent(fd, KVMI_VCPU_GET_XCR, "\1\0\0\0\0\0\0", 8), "get_xcr: too short");
	peer_reply(fd, KVMI_VCPU_GET_XCR, 3, -KVM_EINVAL, NULL, 0);
	ok(kvmintro_get_xcr(k, 1, 1, &value) == -EINVAL, "get_xcr: no such register");
	peer_receive(fd, msg, sizeof(msg));

	peer_reply(fd, KVMI_VCPU_GET_MTRR_TYPE, 4, 0, "\6\0\0\0\0\0\0", 8);
	ok(!kvmintro_get_mtrr_type(k, 1, 0xfee00000, &type) && type == 6 &&
	   sent(fd, KVMI_VCPU_GET_MTRR_TYPE, "\0\0\xe0\xfe\0\0\0", 8), "get_mtrr_type");
	peer_reply(fd, KVMI_VCPU_GET_MTRR_TYPE, 5, 0, "\6\0\0\0", 4);
	ok(kvmintro_get_mtrr_type(k, 1, 0, &type) == -EPROTO, "get_mtrr_type: too short");
	peer_reply(fd, KVMI_VCPU_GET_MTRR_TYPE, 6, -KVM_EOPNOTSUPP, NULL, 0);
	ok(kvmintro_get_mtrr_type(k, 1, 0, &type) == -EOPNOTSUPP, "get_mtrr_type: none");
	peer_close(k, fd);
}

static void xsave(void)
{
	static struct kvmi_vcpu_xsave state, got;
	struct kvmintro *k;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(state); i++)
		state.region[i] = i * 7;
	k = peer_open(&fd);
	peer_reply(fd, KVMI_VCPU_GET_XSAVE, 1, 0, &state, sizeof(state));
	ok(!kvmintro_get_xsave(k, 1, &got) && !memcmp(&got, &state, sizeof(got)) &&
	   sent(fd, KVMI_VCPU_GET_XSAVE, "", 0), "get_xsave");
	peer_reply(fd, KVMI_VCPU_GET_XSAVE, 2, 0, &state, sizeof(state) - 1);
	ok(kvmintro_get_xsave(k, 1, &got) == -EPROTO, "get_xsave: too short");
	peer_receive(fd, msg, sizeof(msg));

	peer_reply(fd, KVMI_VCPU_SET_XSAVE, 3, 0, NULL, 0);
	ok(!kvmintro_set_xsave(k, 1, &state, sizeof(state)) &&
	   sent(fd, KVMI_VCPU_SET_XSAVE, &state, sizeof(state)), "set_xsave");
	peer_reply(fd, KVMI_VCPU_SET_XSAVE, 4, -KVM_EINVAL, NULL, 0);
	ok(kvmintro_set_xsave(k, 1, &state, 576) == -EINVAL &&
	   strstr(kvmintro_error(k), "MXCSR") &&
	   sent(fd, KVMI_VCPU_SET_XSAVE, &state, 576), "set_xsave: refused");
	ok(kvmintro_set_xsave(k, 1, &state, sizeof(state) + 1) == -E2BIG &&
	   !peer_receive(fd, msg, sizeof(msg)), "set_xsave: too much");
	peer_close(k, fd);
}

int main(void)
{
	control();
	inject();
	small_state();
	xsave();
	return done();
}
