// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: work that is handed to a vCPU.
 */

#include <linux/rcuwait.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "kvmi_int.h"

/**
 * struct kvmi_job - a vCPU command or an event reply on its way
 * @link: In kvm_vcpu_introspection.jobs.
 * @cmd: The command, NULL for an event reply.
 * @epoch: Session that it came from.
 * @hdr: Its message header.
 * @answer: How commands were answered when it came.
 * @size: Bytes received of @data.
 * @data: What follows the vCPU header, zero extended to the command's structure.
 */
struct kvmi_job {
	struct list_head link;
	const struct kvmi_command *cmd;
	u32 epoch;
	struct kvmi_msg_hdr hdr;
	enum kvmi_answer answer;
	size_t size;
	u8 data[] __aligned(8);
};

/*
 * Has @vcpu run its introspection work: now, or when it is in KVM_RUN next. A
 * halted vCPU is not woken by that as far as the guest can see.
 */
void kvmi_kick(struct kvm_vcpu *vcpu)
{
	/*
	 * In this order: vcpu_run() clears UNBLOCK and then looks for
	 * INTROSPECTION, so that it cannot lose the work and block again.
	 */
	kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
	kvm_make_request(KVM_REQ_UNBLOCK, vcpu);
	/* Either it waits for a reply, or it is where KVM knows to find it. */
	if (!rcuwait_wake_up(&vcpu->introspection->wait))
		kvm_vcpu_kick(vcpu);
}

static void kvmi_fill_job(struct kvmi_job *job, struct kvm_vcpu *vcpu,
			  const struct kvmi_msg_hdr *hdr, const void *data,
			  size_t size, size_t extended)
{
	job->cmd = NULL;
	job->epoch = vcpu->kvm->introspection->epoch;
	job->hdr = *hdr;
	job->answer = KVMI_ANSWER_REPLY;
	job->size = size;
	memcpy(job->data, data, extended);
}

static struct kvmi_job *kvmi_alloc_job(struct kvm_vcpu *vcpu,
				       const struct kvmi_msg_hdr *hdr,
				       const void *data, size_t size,
				       size_t extended)
{
	struct kvmi_job *job;

	job = kmalloc(struct_size(job, data, extended), GFP_KERNEL_ACCOUNT);
	if (job)
		kvmi_fill_job(job, vcpu, hdr, data, size, extended);
	return job;
}

/* The job for a vCPU's event replies, to be freed with kfree(). */
struct kvmi_job *kvmi_alloc_reply_job(void)
{
	struct kvmi_job *job;

	return kzalloc(struct_size(job, data, sizeof(struct kvmi_event_reply) +
					      KVMI_MAX_EVENT_REPLY),
		       GFP_KERNEL_ACCOUNT);
}

/* Returns 0 or the error to be replied. @req is zero extended by the caller. */
int kvmi_queue_command(struct kvm_vcpu *vcpu, const struct kvmi_command *cmd,
		       const struct kvmi_msg_hdr *hdr, const void *req,
		       size_t size, enum kvmi_answer answer)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	struct kvmi_job *job;
	bool full;

	lockdep_assert_held(&vcpu->kvm->introspection->rx_mutex);

	job = kvmi_alloc_job(vcpu, hdr, req, size,
			     max_t(size_t, size, cmd->req_size));
	if (!job)
		return -KVM_ENOMEM;

	job->cmd = cmd;
	job->answer = answer;

	spin_lock(&vcpui->lock);
	full = vcpui->nr_jobs == KVMI_MAX_JOBS;
	if (!full) {
		vcpui->nr_jobs++;
		list_add_tail(&job->link, &vcpui->jobs);
	}
	spin_unlock(&vcpui->lock);

	if (full) {
		kfree(job);
		return -KVM_EBUSY;
	}
	/* A vCPU that reads stops there and looks for jobs. */
	if (vcpu != kvm_get_running_vcpu())
		kvmi_kick(vcpu);
	return 0;
}

/* Returns 0, or a negative error if the connection has to end. */
int kvmi_queue_reply(struct kvm_vcpu *vcpu, const struct kvmi_msg_hdr *hdr,
		     const void *reply, size_t size)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;

	lockdep_assert_held(&vcpu->kvm->introspection->rx_mutex);

	if (size > sizeof(struct kvmi_event_reply) + KVMI_MAX_EVENT_REPLY)
		return -EPROTO;

	/* Pairs with the release in kvmi_put_job(). */
	if (smp_load_acquire(&vcpui->reply_queued))
		return -EPROTO;

	kvmi_fill_job(vcpui->reply_job, vcpu, hdr, reply, size, size);

	/* Not counted as a job: a full queue must not lose the reply. */
	spin_lock(&vcpui->lock);
	vcpui->reply_queued = true;
	list_add_tail(&vcpui->reply_job->link, &vcpui->jobs);
	spin_unlock(&vcpui->lock);

	/* A vCPU that waits needs no request, and one that was interrupted has it. */
	if (!rcuwait_wake_up(&vcpui->wait))
		kvmi_kick(vcpu);
	return 0;
}

static struct kvmi_job *kvmi_take_job(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	struct kvmi_job *job;

	spin_lock(&vcpui->lock);
	job = list_first_entry_or_null(&vcpui->jobs, struct kvmi_job, link);
	/*
	 * Those of a session that is over get purged, and a newer session's have to
	 * wait until the vCPU has joined it.
	 */
	if (job && (job->epoch != vcpui->epoch || !kvmi_vcpu_in_session(vcpu)))
		job = NULL;
	if (job) {
		list_del(&job->link);
		if (job->cmd)
			vcpui->nr_jobs--;
	}
	spin_unlock(&vcpui->lock);
	return job;
}

static void kvmi_put_job(struct kvm_vcpu_introspection *vcpui,
			 struct kvmi_job *job)
{
	if (job == vcpui->reply_job) {
		/* Pairs with the acquire in kvmi_queue_reply(). */
		smp_store_release(&vcpui->reply_queued, false);
	} else {
		kfree(job);
	}
}

static void kvmi_run_job(struct kvm_vcpu *vcpu, struct kvmi_job *job)
{
	struct kvmi_call call = {
		.kvm = vcpu->kvm,
		.vcpu = vcpu,
		.req = job->data,
		.req_size = job->size,
		.answer = job->answer,
	};

	if (job->cmd)
		kvmi_call_and_reply(vcpu->kvm->introspection, job->epoch,
				    job->cmd, &job->hdr, &call,
				    vcpu->introspection->tx);
	else
		kvmi_vcpu_event_reply(vcpu, &job->hdr, job->data, job->size);
}

/*
 * Takes a request for a PAUSE event. Returns false if there is none, or none of the
 * vCPU's session: whoever finds a newer session's sees its epoch, too.
 */
bool kvmi_take_pause(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	bool taken = false;

	spin_lock(&vcpui->lock);
	if (vcpui->pause_requests && kvmi_vcpu_in_session(vcpu)) {
		vcpui->pause_requests--;
		taken = true;
	}
	spin_unlock(&vcpui->lock);
	return taken;
}

bool kvmi_has_jobs(struct kvm_vcpu *vcpu)
{
	return !list_empty_careful(&vcpu->introspection->jobs);
}

/*
 * On the vCPU thread, with kvm->srcu held. Stops behind an event reply, for what
 * comes after it must see its effect, and on a signal, for a tool can send jobs as
 * fast as they are done. Runs one at least, so that signals cannot starve the tool.
 */
void kvmi_run_jobs(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	struct kvmi_job *job;

	while (vcpui->event.state != KVMI_EVENT_REPLIED) {
		job = kvmi_take_job(vcpu);
		if (!job)
			break;
		kvmi_run_job(vcpu, job);
		kvmi_put_job(vcpui, job);
		cond_resched();
		if (signal_pending(current))
			break;
	}
}

/* On the receiver, when nobody adds jobs any more. */
void kvmi_purge_jobs(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	struct kvmi_job *job, *next;
	LIST_HEAD(purged);

	spin_lock(&vcpui->lock);
	list_splice_init(&vcpui->jobs, &purged);
	vcpui->nr_jobs = 0;
	vcpui->pause_requests = 0;
	spin_unlock(&vcpui->lock);

	list_for_each_entry_safe(job, next, &purged, link)
		kvmi_put_job(vcpui, job);
}
