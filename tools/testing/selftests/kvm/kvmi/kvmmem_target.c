// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's side of kvmmem_test: a VM that is introspected, and whose memory a guest maps.
 * Listens on a socket that a serial line of that guest comes from; a line is a question:
 *
 *   token       KVMI_VM_GET_MAP_TOKEN, 32 bytes
 *   gpa         of a page of the VM
 *   read        the first word of this page
 *   write HEX   sets it
 *   rehook      the session ends, and another begins
 *
 * usage: kvmmem_target SOCKET
 */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "kvmi_test_util.h"

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	TEST_ASSERT(strlen(path) < sizeof(addr.sun_path), "too long a name: %s", path);
	strcpy(addr.sun_path, path);
	TEST_ASSERT(!bind(fd, (struct sockaddr *)&addr, sizeof(addr)) && !listen(fd, 1),
		    "%s: %s", path, strerror(errno));
	return fd;
}

static void answer_token(struct kvmi_test *t, FILE *line)
{
	struct kvmi_vm_get_map_token_reply reply;
	unsigned long long *word = (unsigned long long *)&reply.token;

	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_GET_MAP_TOKEN, NULL, 0, &reply,
				    sizeof(reply)));
	fprintf(line, "%016llx%016llx%016llx%016llx\n", word[0], word[1], word[2], word[3]);
}

static void answer(struct kvmi_test *t, const char *question, FILE *line)
{
	volatile __u64 *word = &t->guest[0]->val[0];
	unsigned long long value = 0;

	if (!strcmp(question, "token\n")) {
		answer_token(t, line);
		return;
	}
	/* The page begins with what the guest code would use: this VM does not run. */
	word = (void *)((uintptr_t)word & ~4095UL);
	if (sscanf(question, "write %llx", &value) == 1)
		*word = value;
	else if (!strcmp(question, "gpa\n"))
		value = addr_gva2gpa(t->vm, t->guest_gva[0]) & ~4095ULL;
	else if (!strcmp(question, "read\n"))
		value = *word;
	else if (!strcmp(question, "rehook\n"))
		kvmi_test_rehook(t);
	else
		TEST_FAIL("what is '%s'?", question);
	fprintf(line, "%llx\n", value);
}

int main(int argc, char **argv)
{
	struct kvmi_test t = {};
	char question[128];
	FILE *in, *out;
	int fd;

	kvmi_require();
	TEST_ASSERT(argc == 2, "usage: %s SOCKET", argv[0]);
	kvmi_test_setup(&t, 1);
	fd = accept(listen_at(argv[1]), NULL, NULL);
	TEST_ASSERT(fd >= 0, "accept() failed");
	in = fdopen(fd, "r");
	out = fdopen(dup(fd), "w");
	setlinebuf(out);
	while (fgets(question, sizeof(question), in))
		answer(&t, question, out);
	kvmi_test_teardown(&t);
	return 0;
}
