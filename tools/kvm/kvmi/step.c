// SPDX-License-Identifier: GPL-2.0-only
/* kvmi step: a vCPU's next instructions, one by one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "follow.h"

#define EVENT_TIMEOUT 15000

#define GENERAL(f) { #f, offsetof(struct kvmi_event_arch, regs.f) }
#define SPECIAL(name, f) { name, offsetof(struct kvmi_event_arch, f) }

/* What an instruction can change, but for RIP; all of 64 bits. */
static const struct {
	const char *name;
	size_t offset;
} registers[] = {
	GENERAL(rflags), GENERAL(rax), GENERAL(rbx), GENERAL(rcx), GENERAL(rdx),
	GENERAL(rsi), GENERAL(rdi), GENERAL(rsp), GENERAL(rbp), GENERAL(r8),
	GENERAL(r9), GENERAL(r10), GENERAL(r11), GENERAL(r12), GENERAL(r13),
	GENERAL(r14), GENERAL(r15),
	SPECIAL("cr0", sregs.cr0), SPECIAL("cr2", sregs.cr2),
	SPECIAL("cr3", sregs.cr3), SPECIAL("cr4", sregs.cr4),
	SPECIAL("cr8", sregs.cr8), SPECIAL("efer", msrs.efer),
	SPECIAL("fs.base", sregs.fs.base), SPECIAL("gs.base", sregs.gs.base),
	SPECIAL("kernel_gs", msrs.shadow_gs),
};

struct step {
	struct follow f;
	uint16_t vcpu;
	struct kvmi_event_arch last;
	/* The vCPU waits for the answer to this. */
	struct kvmintro_event open;
	bool is_open;
};

static uint64_t value(const struct kvmi_event_arch *arch, size_t i)
{
	uint64_t v;

	memcpy(&v, (const uint8_t *)arch + registers[i].offset, sizeof(v));
	return v;
}

static void print_text(const struct step *s, const struct kvmintro_event *ev)
{
	const struct kvmi_event_arch *a = &ev->arch;
	size_t i;

	printf("%8llu rip %016llx", (unsigned long long)s->f.done, a->regs.rip);
	if (ev->data.singlestep.failed)
		printf(" failed: not the end of one instruction");
	for (i = 0; i < ARRAY_SIZE(registers); i++) {
		if (value(a, i) != value(&s->last, i))
			printf(" %s %llx", registers[i].name, (unsigned long long)value(a, i));
	}
	if (a->sregs.cs.selector != s->last.sregs.cs.selector)
		printf(" cs %x", a->sregs.cs.selector);
	if (a->mode != s->last.mode)
		printf(" %u-bit code", a->mode * 8);
	putchar('\n');
}

static void print_json(const struct step *s, const struct kvmintro_event *ev)
{
	struct json_object *o = json_object_new_object();
	struct json_object *changed = json_object_new_object();
	const struct kvmi_event_arch *a = &ev->arch;
	size_t i;

	json_object_object_add(o, "type", json_object_new_string("step"));
	json_object_object_add(o, "n", json_object_new_uint64(s->f.done));
	json_object_object_add(o, "vcpu", json_object_new_int(s->vcpu));
	json_object_object_add(o, "rip", json_hex(a->regs.rip));
	json_object_object_add(o, "failed",
			       json_object_new_boolean(ev->data.singlestep.failed));
	for (i = 0; i < ARRAY_SIZE(registers); i++) {
		if (value(a, i) != value(&s->last, i))
			json_object_object_add(changed, registers[i].name,
					       json_hex(value(a, i)));
	}
	if (a->sregs.cs.selector != s->last.sregs.cs.selector)
		json_object_object_add(changed, "cs",
				       json_hex(a->sregs.cs.selector));
	if (a->mode != s->last.mode)
		json_object_object_add(changed, "mode",
				       json_object_new_int(a->mode));
	json_object_object_add(o, "changed", changed);
	out_json(o);
}

static int answer(struct step *s)
{
	s->is_open = false;
	return kvmintro_continue(s->f.cli->k, &s->open);
}

/* Stop the vCPU where it is, so that the first step has a beginning. */
static int begin(struct step *s)
{
	struct kvmintro *k = s->f.cli->k;
	int r = kvmintro_pause_vcpu(k, s->vcpu, true);

	while (r >= 0 && !s->is_open) {
		r = follow_wait(&s->f, EVENT_TIMEOUT, &s->open);
		if (!r) {
			out_error("step: vCPU %u did not stop within %d s; is the VM stopped?",
				  s->vcpu, EVENT_TIMEOUT / 1000);
			return -ETIMEDOUT;
		}
		if (r > 0 && follow_unhook(&s->f, &s->open))
			continue;
		s->is_open = r > 0 && s->open.id == KVMI_VCPU_EVENT_PAUSE;
		if (r > 0 && !s->is_open)
			r = answer(s);
	}
	if (r >= 0)
		r = kvmintro_control_singlestep(k, s->vcpu, true);
	if (r < 0) {
		out_failed(s->f.cli, "step");
		return r;
	}
	s->last = s->open.arch;
	if (!s->f.cli->json)
		printf("vCPU %u at rip %016llx\n", s->vcpu, s->last.regs.rip);
	return 0;
}

static int step_on(struct step *s)
{
	struct kvmintro_event ev;
	int r = answer(s);

	while (r >= 0 && !s->is_open && !follow_ended(&s->f)) {
		r = follow_next(&s->f, &ev);
		if (r <= 0 || follow_unhook(&s->f, &ev))
			continue;
		s->open = ev;
		s->is_open = ev.id == KVMI_VCPU_EVENT_SINGLESTEP;
		if (!s->is_open)
			r = answer(s);
	}
	if (r < 0 || !s->is_open)
		return r;
	s->f.done++;
	if (s->f.cli->json)
		print_json(s, &s->open);
	else
		print_text(s, &s->open);
	s->last = s->open.arch;
	return 0;
}

/* The switch is answered after the last event: what is pending then is all. */
static int end(struct step *s)
{
	int r;

	follow_shield(&s->f);
	r = kvmintro_control_singlestep(s->f.cli->k, s->vcpu, false);
	if (s->is_open)
		r = answer(s);
	while (r >= 0 && kvmintro_pending_events(s->f.cli->k)) {
		r = kvmintro_wait_event(s->f.cli->k, 0, &s->open);
		if (r > 0)
			r = answer(s);
	}
	follow_finish(&s->f);
	return r;
}

static int step(struct step *s)
{
	int failed = CLI_OK, r;

	follow_start(&s->f);
	if (begin(s) < 0)
		failed = CLI_FAILED;
	follow_start(&s->f);
	while (!failed && !follow_ended(&s->f)) {
		r = step_on(s);
		if (r < 0)
			failed = out_failed(s->f.cli, "step");
	}
	if (kvmintro_fd(s->f.cli->k) >= 0 && end(s) < 0 && !failed)
		failed = out_failed(s->f.cli, "step: switching off");
	return out_flush() || failed ? CLI_FAILED : CLI_OK;
}

static int parse_args(int argc, char **argv, struct step *s)
{
	static const struct option longs[] = {
		{ "vcpu", required_argument, NULL, 'v' },
		{ "duration", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 }
	};
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(&command_step, argc, argv, "", longs)) != -1)
		r = follow_option(&s->f, opt);
	if (!r && argc - optind != 1)
		r = cli_usage(&command_step);
	if (!r)
		r = parse_u64("N", argv[optind], &s->f.count);
	if (!r && !s->f.count) {
		out_error("N: 0 instructions are none");
		r = CLI_USAGE;
	}
	s->vcpu = s->f.vcpu;
	return r;
}

static int run_step(struct cli *cli, int argc, char **argv)
{
	struct step s = { .f = { .duration = -1 } };
	int r = parse_args(argc, argv, &s);

	if (!r)
		r = follow_connect(&s.f, cli, "step");
	return r ? r : step(&s);
}

const struct cli_command command_step = {
	.name = "step",
	.args = "N [--vcpu N] [--duration SECONDS]",
	.summary = "execute instructions one by one",
	.help =
	"Stops a vCPU, lets it execute N instructions one after the other, and prints for\n"
	"each where the vCPU is after it and the new values of what it changed, RIP aside.\n"
	"Memory is not shown. Delivery of an exception counts as an instruction. Interrupts\n"
	"of this vCPU wait meanwhile; the other vCPUs run.\n\n"
	"  --vcpu N            which vCPU (0)\n"
	"  --duration SECONDS  stop after this time, for example if the vCPU sleeps\n"
	"  --json              one JSON document per instruction\n\n"
	"At the end, and on ^C and SIGTERM, the vCPU runs on.\n",
	.run = run_step,
};
