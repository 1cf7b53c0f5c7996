// SPDX-License-Identifier: GPL-2.0-only
/* VCPU_GET_MTRR_TYPE: the rules by which the guest's MTRRs give an address its type. */
#include <asm/mtrr.h>

#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_mtrr, 1);

enum { UC = 0, WC = 1, WT = 4, WP = 5, WB = 6 };

#define FEATURE_MTRR	KVM_X86_CPU_FEATURE(1, 0, EDX, 12)

/* MTRRdefType */
#define DEF_FE		BIT_ULL(10)
#define DEF_E		BIT_ULL(11)
/* A variable range's mask */
#define MASK_V		BIT_ULL(11)

#define MB		BIT_ULL(20)
#define GB		BIT_ULL(30)

static __u64 max_gpa(struct kvmi_test *t)
{
	struct kvmi_vcpu_get_cpuid req = { .function = 0x80000008 };
	struct kvmi_vcpu_get_cpuid_reply r;

	KVMI_ASSERT_OK(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_GET_CPUID, &req, sizeof(req),
					 &r, sizeof(r)));
	return BIT_ULL(r.eax & 0xff);
}

static void set(struct kvmi_test *t, __u32 msr, __u64 val)
{
	vcpu_set_msr(t->vcpu[0], msr, val);
}

/* Variable range @n: @size bytes, a power of 2, from @base. */
static void set_range(struct kvmi_test *t, int n, __u64 base, __u64 size, __u8 type)
{
	__u64 max = BIT_ULL(kvm_cpu_property(X86_PROPERTY_MAX_PHY_ADDR));

	set(t, MTRRphysBase_MSR(n), base | type);
	set(t, MTRRphysMask_MSR(n), ((max - 1) & ~(size - 1)) | MASK_V);
}

static int get(struct kvmi_test *t, __u64 gpa, __u8 *type)
{
	struct kvmi_vcpu_get_mtrr_type req = { .gpa = gpa };
	struct kvmi_vcpu_get_mtrr_type_reply r;
	int err;

	memset(&r, 0xff, sizeof(r));
	err = kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_GET_MTRR_TYPE, &req, sizeof(req), &r,
				sizeof(r));
	*type = r.type;
	for (int i = 0; !err && i < ARRAY_SIZE(r.padding); i++)
		TEST_ASSERT_EQ(r.padding[i], 0);
	return err;
}

static void expect(struct kvmi_test *t, __u64 gpa, __u8 want)
{
	__u8 type;

	KVMI_ASSERT_OK(get(t, gpa, &type));
	TEST_ASSERT(type == want, "%#llx has type %u, expected %u", gpa, type, want);
}

/* --- without ranges ---------------------------------------------------------------------- */

KVMI_TEST(kvmi_mtrr, default_type, guest_spin)
{
	static const __u8 types[] = { UC, WC, WT, WP, WB };
	__u64 max = 0;

	for (int i = 0; i < ARRAY_SIZE(types); i++) {
		set(t, MSR_MTRRdefType, DEF_E | types[i]);
		kvmi_run(t, 0);
		max = max_gpa(t);
		expect(t, 0, types[i]);
		expect(t, 0xa0000, types[i]);
		expect(t, MB, types[i]);
		expect(t, 4 * GB - 1, types[i]);
		expect(t, max - 1, types[i]);
		kvmi_worker_stop(&t->worker[0]);
	}
}

/* As after a reset: everything is uncached, whatever else is set up. */
KVMI_TEST(kvmi_mtrr, all_off, guest_spin)
{
	set(t, MSR_MTRRfix64K_00000, 0x0606060606060606);
	set_range(t, 0, 16 * MB, 16 * MB, WB);
	for (int fe = 0; fe < 2; fe++) {
		set(t, MSR_MTRRdefType, WB | (fe ? DEF_FE : 0));
		kvmi_run(t, 0);
		expect(t, 0, UC);
		expect(t, MB, UC);
		expect(t, 16 * MB, UC);
		expect(t, 4 * GB, UC);
		kvmi_worker_stop(&t->worker[0]);
	}
}

/* --- the first megabyte ------------------------------------------------------------------ */

static const struct { __u32 msr, base, unit; } fixed[] = {
	{ MSR_MTRRfix64K_00000, 0x00000, 0x10000 },
	{ MSR_MTRRfix16K_80000, 0x80000, 0x4000 },
	{ MSR_MTRRfix16K_A0000, 0xa0000, 0x4000 },
	{ MSR_MTRRfix4K_C0000, 0xc0000, 0x1000 },
	{ MSR_MTRRfix4K_C8000, 0xc8000, 0x1000 },
	{ MSR_MTRRfix4K_D0000, 0xd0000, 0x1000 },
	{ MSR_MTRRfix4K_D8000, 0xd8000, 0x1000 },
	{ MSR_MTRRfix4K_E0000, 0xe0000, 0x1000 },
	{ MSR_MTRRfix4K_E8000, 0xe8000, 0x1000 },
	{ MSR_MTRRfix4K_F0000, 0xf0000, 0x1000 },
	{ MSR_MTRRfix4K_F8000, 0xf8000, 0x1000 },
};

/* Neighbours differ, and no two registers are alike. */
static __u8 fixed_type(int i, int k)
{
	static const __u8 types[] = { WB, UC, WT, WC, WP };

	return types[(i * 3 + k) % ARRAY_SIZE(types)];
}

static void set_fixed(struct kvmi_test *t)
{
	for (int i = 0; i < ARRAY_SIZE(fixed); i++) {
		__u64 val = 0;

		for (int k = 0; k < 8; k++)
			val |= (__u64)fixed_type(i, k) << (8 * k);
		set(t, fixed[i].msr, val);
	}
}

KVMI_TEST(kvmi_mtrr, fixed_ranges, guest_spin)
{
	__u64 gpa = 0;

	set_fixed(t);
	/* They win over a variable range, in which types would combine. */
	set_range(t, 0, 0, 2 * MB, UC);
	set(t, MSR_MTRRdefType, DEF_E | DEF_FE | WB);
	kvmi_run(t, 0);
	for (int i = 0; i < ARRAY_SIZE(fixed); i++) {
		for (int k = 0; k < 8; k++) {
			gpa = fixed[i].base + k * fixed[i].unit;
			expect(t, gpa, fixed_type(i, k));
			gpa += fixed[i].unit - 1;
			expect(t, gpa, fixed_type(i, k));
		}
	}
	TEST_ASSERT_EQ(gpa, MB - 1);
	expect(t, MB, UC);
	expect(t, 2 * MB, WB);
}

/* Switched off they do not count, and the first megabyte is like the rest. */
KVMI_TEST(kvmi_mtrr, fixed_ranges_off, guest_spin)
{
	set_fixed(t);
	set_range(t, 0, 0x80000, 0x80000, WT);
	set(t, MSR_MTRRdefType, DEF_E | WC);
	kvmi_run(t, 0);
	for (__u64 gpa = 0; gpa < MB; gpa += 0x8000)
		expect(t, gpa, gpa < 0x80000 ? WC : WT);
	expect(t, MB - 1, WT);
	expect(t, MB, WC);
}

/* --- variable ranges --------------------------------------------------------------------- */

KVMI_TEST(kvmi_mtrr, variable_ranges, guest_spin)
{
	static const struct { __u64 base, size; __u8 type; } ranges[] = {
		{ 16 * MB, 16 * MB, UC }, { 48 * MB, 1 * MB, WC }, { 64 * MB, 4096, WT },
		{ 4 * GB, 4 * GB, WP }, { 12 * GB, 8192, UC }, { 32 * GB, 32 * GB, WT },
		{ 3 * GB, GB, UC }, { 16 * GB, 2 * MB, WP },
	};

	/* All eight that KVM's processors have. */
	TEST_ASSERT_EQ(vcpu_get_msr(t->vcpu[0], MSR_MTRRcap) & 0xff, ARRAY_SIZE(ranges));
	for (int i = 0; i < ARRAY_SIZE(ranges); i++)
		set_range(t, i, ranges[i].base, ranges[i].size, ranges[i].type);
	set(t, MSR_MTRRdefType, DEF_E | WB);
	kvmi_run(t, 0);
	for (int i = 0; i < ARRAY_SIZE(ranges); i++) {
		expect(t, ranges[i].base, ranges[i].type);
		expect(t, ranges[i].base + ranges[i].size / 2, ranges[i].type);
		expect(t, ranges[i].base + ranges[i].size - 1, ranges[i].type);
	}
	expect(t, 16 * MB - 1, WB);
	expect(t, 32 * MB, WB);
	expect(t, 64 * MB + 4096, WB);
	expect(t, 12 * GB - 1, WB);
	expect(t, 12 * GB + 8192, WB);
}

/* A mask with holes covers several pieces. */
KVMI_TEST(kvmi_mtrr, mask_with_a_hole, guest_spin)
{
	set_range(t, 0, 16 * MB, MB, WT);
	set(t, MTRRphysMask_MSR(0), vcpu_get_msr(t->vcpu[0], MTRRphysMask_MSR(0)) & ~(4 * MB));
	set(t, MSR_MTRRdefType, DEF_E | WB);
	kvmi_run(t, 0);
	expect(t, 16 * MB, WT);
	expect(t, 17 * MB, WB);
	expect(t, 19 * MB, WB);
	expect(t, 20 * MB, WT);
	expect(t, 21 * MB - 1, WT);
	expect(t, 21 * MB, WB);
	expect(t, 24 * MB, WB);
}

KVMI_TEST(kvmi_mtrr, range_not_valid, guest_spin)
{
	set_range(t, 0, 16 * MB, 16 * MB, UC);
	set_range(t, 1, 64 * MB, 16 * MB, WT);
	set(t, MTRRphysMask_MSR(0), vcpu_get_msr(t->vcpu[0], MTRRphysMask_MSR(0)) & ~MASK_V);
	set(t, MSR_MTRRdefType, DEF_E | WB);
	kvmi_run(t, 0);
	expect(t, 16 * MB, WB);
	expect(t, 64 * MB, WT);
}

/* UC wins over all, WT over WB; the order of the registers plays no part. */
static const struct { __u8 a, b, want; } overlaps[] = {
	{ UC, UC, UC }, { UC, WC, UC }, { UC, WT, UC }, { UC, WP, UC }, { UC, WB, UC },
	{ WC, WC, WC }, { WT, WT, WT }, { WP, WP, WP }, { WB, WB, WB }, { WT, WB, WT },
};

static void overlap(struct kvmi_test *t, int first, int second)
{
	for (int i = 0; i < ARRAY_SIZE(overlaps); i++) {
		set_range(t, first, 16 * MB, 16 * MB, overlaps[i].a);
		set_range(t, second, 16 * MB, 8 * MB, overlaps[i].b);
		set(t, MSR_MTRRdefType, DEF_E | WP);
		kvmi_run(t, 0);
		expect(t, 16 * MB, overlaps[i].want);
		expect(t, 24 * MB - 1, overlaps[i].want);
		expect(t, 24 * MB, overlaps[i].a);
		/* The default is for what no range covers, and no party in this. */
		expect(t, 32 * MB, WP);
		kvmi_worker_stop(&t->worker[0]);
	}
}

KVMI_TEST(kvmi_mtrr, overlap, guest_spin)
{
	overlap(t, 0, 1);
}

KVMI_TEST(kvmi_mtrr, overlap_in_other_registers, guest_spin)
{
	overlap(t, 7, 3);
}

/* Three at once: WT and WB make WT, and with UC it is UC. */
KVMI_TEST(kvmi_mtrr, three_overlap, guest_spin)
{
	set_range(t, 0, 16 * MB, 16 * MB, WB);
	set_range(t, 1, 16 * MB, 8 * MB, WT);
	set_range(t, 2, 16 * MB, 4 * MB, UC);
	set_range(t, 3, 16 * MB, 2 * MB, WB);
	set(t, MSR_MTRRdefType, DEF_E | WP);
	kvmi_run(t, 0);
	expect(t, 16 * MB, UC);
	expect(t, 18 * MB, UC);
	expect(t, 20 * MB, WT);
	expect(t, 24 * MB, WB);
	expect(t, 32 * MB, WP);
}

/* --- errors ------------------------------------------------------------------------------ */

KVMI_TEST(kvmi_mtrr, beyond_physical_addresses, guest_spin)
{
	__u64 max;
	__u8 type;

	set(t, MSR_MTRRdefType, DEF_E | WB);
	kvmi_run(t, 0);
	max = max_gpa(t);
	expect(t, max - 1, WB);
	for (__u64 gpa = max; gpa; gpa <<= 1) {
		KVMI_ASSERT_ERR(get(t, gpa, &type), -KVM_EINVAL);
		KVMI_ASSERT_ERR(get(t, gpa + 0x1000, &type), -KVM_EINVAL);
	}
	KVMI_ASSERT_ERR(get(t, ~0ull, &type), -KVM_EINVAL);
}

KVMI_TEST(kvmi_mtrr, fewer_physical_addresses, guest_spin)
{
	__u8 type;

	vcpu_set_cpuid_property(t->vcpu[0], X86_PROPERTY_MAX_PHY_ADDR, 36);
	set(t, MSR_MTRRdefType, DEF_E | WB);
	kvmi_run(t, 0);
	expect(t, BIT_ULL(36) - 1, WB);
	KVMI_ASSERT_ERR(get(t, BIT_ULL(36), &type), -KVM_EINVAL);
}

KVMI_TEST(kvmi_mtrr, guest_has_none, guest_spin)
{
	__u8 type;

	vcpu_clear_cpuid_feature(t->vcpu[0], FEATURE_MTRR);
	kvmi_run(t, 0);
	KVMI_ASSERT_ERR(get(t, 0, &type), -KVM_EOPNOTSUPP);
	KVMI_ASSERT_ERR(get(t, MB, &type), -KVM_EOPNOTSUPP);
}

KVMI_TEST_MAIN()
