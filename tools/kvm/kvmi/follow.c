// SPDX-License-Identifier: GPL-2.0-only
/* Events for a time, up to a count, until a signal. */
#include <errno.h>
#include <stdio.h>

#include "follow.h"

int follow_option(struct follow *f, int opt)
{
	switch (opt) {
	case 'v':
		return parse_vcpu(optarg, &f->vcpu);
	case 'd':
		return parse_seconds("--duration", optarg, &f->duration);
	case 'n':
		return parse_u64("--count", optarg, &f->count);
	case 's':
		f->summary = true;
		return CLI_OK;
	case 'j':
		f->json = true;
		return CLI_OK;
	default:
		return CLI_USAGE;
	}
}

int follow_connect(struct follow *f, struct cli *cli, const char *name)
{
	int r = cli_connect(cli);

	if (r)
		return r;
	if (!cli->held_count != !f->resume) {
		out_error(f->resume ? "%s: --resume: nothing is paused here" :
				      "%s: the VM is paused; resume it first", name);
		return CLI_FAILED;
	}
	f->cli = cli;
	cli->json |= f->json;
	/* A VMM that does not allow it takes the VM back without asking. */
	r = kvmintro_control_vm_event(cli->k, KVMI_VM_EVENT_UNHOOK, true);
	return r < 0 && r != -EPERM ? out_failed(cli, name) : CLI_OK;
}

int follow_resume(struct follow *f)
{
	return f->resume ? pause_release(f->cli) : CLI_OK;
}

void follow_start(struct follow *f)
{
	clock_gettime(CLOCK_MONOTONIC, &f->start);
}

double follow_seconds(const struct follow *f)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - f->start.tv_sec +
	       (now.tv_nsec - f->start.tv_nsec) / 1e9;
}

bool follow_ended(struct follow *f)
{
	f->stop |= cli_signalled(f->cli) || ferror(stdout);
	return f->stop || (f->count && f->done >= f->count) ||
	       (f->duration >= 0 && follow_seconds(f) * 1000 >= f->duration);
}

static int time_left(const struct follow *f)
{
	int left;

	if (f->duration < 0)
		return -1;
	left = f->duration - (int)(follow_seconds(f) * 1000);
	return left > 0 ? left : 0;
}

void follow_shield(struct follow *f)
{
	f->shielded = true;
	kvmintro_set_cancel_fd(f->cli->k, -1);
}

/* A signal ends this even while commands are shielded from it. */
static int wait_event(struct follow *f, int timeout, struct kvmintro_event *ev)
{
	int r;

	kvmintro_set_cancel_fd(f->cli->k, f->cli->signal_fd);
	r = kvmintro_wait_event(f->cli->k, timeout, ev);
	if (f->shielded)
		kvmintro_set_cancel_fd(f->cli->k, -1);
	return r;
}

int follow_wait(struct follow *f, int timeout, struct kvmintro_event *ev)
{
	int r;

	do {
		r = wait_event(f, timeout, ev);
		if (r == -ECANCELED)
			f->stop |= cli_signalled(f->cli);
	} while (r == -ECANCELED);
	return r;
}

int follow_next(struct follow *f, struct kvmintro_event *ev)
{
	int r = wait_event(f, 0, ev);

	if (!r) {
		/* Nothing to do: let readers see what there is. */
		fflush(stdout);
		r = wait_event(f, time_left(f), ev);
	}
	if (r != -ECANCELED)
		return r;
	f->stop |= cli_signalled(f->cli);
	return 0;
}

bool follow_unhook(struct follow *f, const struct kvmintro_event *ev)
{
	if (ev->id != KVMI_VM_EVENT_UNHOOK)
		return false;
	fprintf(stderr, "kvmi: the VMM takes the VM back\n");
	f->stop = true;
	return true;
}

void follow_finish(struct follow *f)
{
	if (kvmintro_fd(f->cli->k) >= 0)
		kvmintro_control_vm_event(f->cli->k, KVMI_VM_EVENT_UNHOOK, false);
	f->shielded = false;
	kvmintro_set_cancel_fd(f->cli->k, f->cli->signal_fd);
}
