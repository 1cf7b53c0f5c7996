// SPDX-License-Identifier: LGPL-2.1-or-later
/* The smallest tool: attach to a VMM and print what its VM looks like. */
#include <stdio.h>
#include <stdlib.h>

#include <kvmi/kvmi.h>

int main(int argc, char **argv)
{
	struct kvmintro_attach_options options = {
		.size = sizeof(options),
		.vm = -1,
	};
	struct kvmintro_registers registers;
	struct kvmintro *k = kvmintro_new();
	uint32_t count, i;
	int r;

	if (argc != 2 || !k) {
		fprintf(stderr, "usage: kvmi-info PID\n");
		return 2;
	}
	options.pid = atoi(argv[1]);

	r = kvmintro_attach(k, &options);
	if (!r)
		r = kvmintro_get_vcpu_count(k, &count);
	for (i = 0; !r && i < count; i++) {
		r = kvmintro_get_registers(k, i, &registers, NULL, NULL, 0);
		if (!r)
			printf("vCPU %u: rip %#llx, cr3 %#llx\n", i,
			       (unsigned long long)registers.regs.rip,
			       (unsigned long long)registers.sregs.cr3);
	}
	if (r < 0)
		fprintf(stderr, "error: %s\n", kvmintro_error(k));
	kvmintro_free(k);
	return r < 0;
}
