// SPDX-License-Identifier: GPL-2.0-only
/* kvmi inject: raise an exception, and tell what the guest got. */
#include <stdio.h>

#include "cli.h"

#define EVENT_TIMEOUT 15000

struct request {
	int vcpu;
	uint8_t vector;
	uint64_t error_code, address;
	bool has_code, has_address;
};

static void describe(const struct kvmi_vcpu_event_trap *t, char *text, size_t size)
{
	const char *name = exception_name(t->vector);
	int n;

	if (t->vector > 31) {
		snprintf(text, size, "interrupt %u", t->vector);
		return;
	}
	n = name ? snprintf(text, size, "#%s (%u)", name, t->vector) :
		   snprintf(text, size, "vector %u", t->vector);
	if (exception_has_code(t->vector))
		n += snprintf(text + n, size - n, " with error code 0x%x", t->error_code);
	if (t->vector == 14)
		snprintf(text + n, size - n, " and cr2 0x%llx", (unsigned long long)t->cr2);
}

static int report(struct cli *cli, const struct request *q,
		  const struct kvmintro_event *ev)
{
	const struct kvmi_vcpu_event_trap *t = &ev->data.trap;
	bool ours = !t->lost && t->vector == q->vector;
	struct json_object *o;
	char text[128];

	describe(t, text, sizeof(text));
	if (cli->json) {
		o = json_object_new_object();
		json_object_object_add(o, "vcpu", json_object_new_int(ev->vcpu));
		json_object_object_add(o, "delivered", json_object_new_boolean(ours));
		json_object_object_add(o, "vector", json_object_new_int(t->vector));
		json_object_object_add(o, "error_code", json_hex(t->error_code));
		json_object_object_add(o, "cr2", json_hex(t->cr2));
		json_object_object_add(o, "rip", json_hex(ev->arch.regs.rip));
		out_json(o);
	} else if (ours) {
		printf("vCPU %u: %s was delivered, rip %016llx\n", ev->vcpu, text,
		       ev->arch.regs.rip);
	}
	if (t->lost)
		out_error("inject: vCPU %u got nothing: it was reset, or is not at %s",
			  ev->vcpu, "the instruction that #BP and #OF need");
	else if (!ours)
		out_error("inject: vCPU %u had %s on its way and got that; try again",
			  ev->vcpu, text);
	return out_flush() || !ours ? CLI_FAILED : CLI_OK;
}

/* It comes when the vCPU runs next: while the VM is stopped, it does not. */
static int wait_for_trap(struct cli *cli, const struct request *q)
{
	struct kvmintro_event ev;
	int r;

	do {
		r = kvmintro_wait_event(cli->k, EVENT_TIMEOUT, &ev);
		if (!r) {
			out_error("inject: vCPU %d took nothing within %d s; is the VM stopped?",
				  q->vcpu, EVENT_TIMEOUT / 1000);
			return CLI_FAILED;
		}
		if (r > 0)
			r = kvmintro_continue(cli->k, &ev);
		if (r < 0)
			return out_failed(cli, "inject");
	} while (ev.id != KVMI_VCPU_EVENT_TRAP || ev.vcpu != q->vcpu);
	return report(cli, q, &ev);
}

static int parse_options(int argc, char **argv, struct request *q)
{
	static const struct option longs[] = {
		{ "vcpu", required_argument, NULL, 'v' },
		{ "error-code", required_argument, NULL, 'e' },
		{ "address", required_argument, NULL, 'a' },
		{ 0 }
	};
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(&command_inject, argc, argv, "", longs)) != -1) {
		if (opt == 'v') {
			r = parse_vcpu(optarg, &q->vcpu);
		} else if (opt == 'e') {
			r = parse_limited("--error-code", optarg, UINT32_MAX, &q->error_code);
			q->has_code = true;
		} else if (opt == 'a') {
			r = parse_u64("--address", optarg, &q->address);
			q->has_address = true;
		} else {
			r = CLI_USAGE;
		}
	}
	return r;
}

static int parse_args(int argc, char **argv, struct request *q)
{
	int r = parse_options(argc, argv, q);

	if (r)
		return r;
	if (argc - optind != 1)
		return cli_usage(&command_inject);
	r = parse_vector(argv[optind], &q->vector);
	if (!r && q->has_code && !exception_has_code(q->vector)) {
		out_error("--error-code: vector %u has none", q->vector);
		r = CLI_USAGE;
	}
	if (!r && q->has_address && q->vector != 14) {
		out_error("--address: only a page fault (14) has one");
		r = CLI_USAGE;
	}
	return r;
}

static int run_inject(struct cli *cli, int argc, char **argv)
{
	struct request q = { 0 };
	int r = parse_args(argc, argv, &q);

	if (!r)
		r = cli_connect(cli);
	if (r)
		return r;
	if (cli->held_count) {
		out_error("inject: the VM is paused; resume it first");
		return CLI_FAILED;
	}
	if (kvmintro_inject_exception(cli->k, q.vcpu, q.vector, q.error_code,
				      q.address) < 0)
		return out_failed(cli, "inject");
	return wait_for_trap(cli, &q);
}

const struct cli_command command_inject = {
	.name = "inject",
	.args = "VECTOR [--error-code N] [--address ADDRESS] [--vcpu N]",
	.summary = "raise an exception in the guest",
	.help =
	"Raises an exception before the guest's next instruction, waits until the guest gets\n"
	"it, and says so. VECTOR is a name such as #pf or gp, or a number from 0 to 31; 2,\n"
	"the NMI, is none. If another exception or an interrupt was on its way, the guest\n"
	"gets that one instead, and the exit status is 1.\n\n"
	"  --error-code N     for the vectors 8, 10 to 14, 17, 21, 29 and 30 (0)\n"
	"  --address ADDRESS  for a page fault: the value of CR2 (0)\n"
	"  --vcpu N           which vCPU (0)\n\n"
	"The guest takes the exception for its own fault: few programs survive one.\n",
	.run = run_inject,
};
