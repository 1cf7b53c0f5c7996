/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_TEST_HARNESS_H
#define SELFTEST_KVMI_TEST_HARNESS_H

/* How a test program declares its cases; each is one line of TAP. */

#include "kvmi_test_util.h"
#include "kvm_test_harness.h"

#define KVMI_TEST_SUITE(name, vcpus)						\
FIXTURE(name) { struct kvmi_test t; };						\
FIXTURE_SETUP(name) { kvmi_test_setup(&self->t, vcpus); }			\
FIXTURE_TEARDOWN(name) { kvmi_test_teardown(&self->t); }

/* One case: every vCPU is set to run @guest_code, none has been started. */
#define KVMI_TEST(suite, test, guest_code)					\
static void suite##_##test##_body(struct kvmi_test *t,				\
				  struct __test_metadata *_metadata);		\
TEST_F_TIMEOUT(suite, test, KVMI_TEST_TIMEOUT_S)				\
{										\
	for (int i = 0; i < self->t.nr_vcpus; i++)				\
		kvmi_set_guest(&self->t, i, guest_code);			\
	suite##_##test##_body(&self->t, _metadata);				\
}										\
static void suite##_##test##_body(struct kvmi_test *t,				\
				  struct __test_metadata *_metadata)

/* Skip the rest of a case that this machine cannot run, and say why. */
#define SKIP_CASE(fmt, ...)	SKIP(return, fmt, ##__VA_ARGS__)

#define KVMI_TEST_MAIN()							\
int main(int argc, char *argv[])						\
{										\
	kvmi_require();								\
	return test_harness_run(argc, argv);					\
}

#endif /* SELFTEST_KVMI_TEST_HARNESS_H */
