// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: a vCPU's extended state.
 *
 * On the wire it has the size that the state had before it could get larger. What
 * lies beyond is not shown, and not changed while XSTATE_BV still names it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include <asm/fpu/api.h>

#include "x86.h"
#include "kvmi_int.h"

/*
 * Inside KVM_RUN the state may be in the processor's registers. Has it in memory,
 * and the registers loaded from there before the guest is entered.
 */
static void kvmi_xsave_sync(void)
{
	kernel_fpu_begin();
	kernel_fpu_end();
}

static u64 kvmi_xsave_features(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.guest_supported_xcr0 | XFEATURE_MASK_FPSSE;
}

static void kvmi_xsave_get(struct kvm_vcpu *vcpu, void *buf, size_t size)
{
	kvmi_xsave_sync();
	fpu_copy_guest_fpstate_to_uabi(&vcpu->arch.guest_fpu, buf, size,
				       kvmi_xsave_features(vcpu),
				       vcpu->arch.pkru);
}

static int kvmi_xsave_set(struct kvm_vcpu *vcpu, union fpregs_state *state)
{
	struct fpu_guest *gfpu = &vcpu->arch.guest_fpu;
	u64 *xfeatures = &state->xsave.header.xfeatures;

	/* A part that the guest has switched off must be in its initial state. */
	*xfeatures &= ~gfpu->fpstate->xfd;

	kvmi_xsave_sync();
	if (fpu_copy_uabi_to_guest_fpstate(gfpu, state, kvmi_xsave_features(vcpu),
					   &vcpu->arch.pkru))
		return -KVM_EINVAL;

	/* These two outlive the reset of their part. */
	if (!(*xfeatures & (XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM)))
		gfpu->fpstate->regs.fxsave.mxcsr = MXCSR_DEFAULT;
	if (!(*xfeatures & XFEATURE_MASK_PKRU))
		vcpu->arch.pkru = 0;
	return 0;
}

int kvmi_cmd_vcpu_get_xsave(struct kvmi_call *call)
{
	struct kvmi_vcpu_xsave *rpl = call->rpl;

	kvmi_xsave_get(call->vcpu, rpl->region, sizeof(rpl->region));
	return 0;
}

int kvmi_cmd_vcpu_set_xsave(struct kvmi_call *call)
{
	const struct kvmi_vcpu_xsave *req = call->req;
	struct kvm_vcpu *vcpu = call->vcpu;
	void *state;
	size_t size;
	int r;

	if (call->req_size > sizeof(*req))
		return -KVM_EINVAL;

	size = max_t(size_t, vcpu->arch.guest_fpu.uabi_size, sizeof(*req));
	state = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!state)
		return -KVM_ENOMEM;

	kvmi_xsave_get(vcpu, state, size);
	memcpy(state, req->region, sizeof(req->region));
	r = kvmi_xsave_set(vcpu, state);
	kvfree(state);
	return r;
}
