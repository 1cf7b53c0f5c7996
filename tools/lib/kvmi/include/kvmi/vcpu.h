/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMI_VCPU_H
#define KVMI_VCPU_H

#include <linux/kvmi.h>
#include <kvmi/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/** kvmintro_get_tsc_speed - frequency of the vCPU's TSC in Hz, 0 if unknown */
int kvmintro_get_tsc_speed(struct kvmintro *k, uint16_t vcpu, uint64_t *hz);

/**
 * kvmintro_pause_vcpu - stop a vCPU
 * @wait: return only when the vCPU has left the guest
 *
 * Each success brings one KVMI_VCPU_EVENT_PAUSE; the vCPU stands still from
 * that event until its answer, and serves commands meanwhile.
 *
 * Return: 0; -EBUSY if KVMI_MAX_PAUSE_REQUESTS of its events are outstanding.
 */
int kvmintro_pause_vcpu(struct kvmintro *k, uint16_t vcpu, bool wait);

/**
 * kvmintro_pause_all - stop all vCPUs
 *
 * Return: how many there are: as many KVMI_VCPU_EVENT_PAUSE will come. On
 * failure some vCPUs may have been paused; their events come all the same.
 */
int kvmintro_pause_all(struct kvmintro *k);

/**
 * kvmintro_control_event - switch an event of a vCPU
 * @event: any KVMI_VCPU_EVENT_* but KVMI_VCPU_EVENT_CREATE
 */
int kvmintro_control_event(struct kvmintro *k, uint16_t vcpu, uint16_t event,
			   bool enable);

/**
 * kvmintro_control_cr - choose a control register for KVMI_VCPU_EVENT_CR
 * @cr: 0, 3 or 4
 *
 * The event itself must be switched on, too.
 */
int kvmintro_control_cr(struct kvmintro *k, uint16_t vcpu, uint32_t cr,
			bool enable);

/**
 * kvmintro_control_msr - choose a model specific register for KVMI_VCPU_EVENT_MSR
 * @msr: 0 to 0x1fff or 0xc0000000 to 0xc0001fff, but not the local APIC's: 0x6e0
 *	 and 0x800 to 0x8ff
 *
 * The event itself must be switched on, too. A vCPU has KVMI_MAX_MSRS choices.
 *
 * Return: 0; -EINVAL for any other register; -EBUSY if there are too many;
 * -ENOMEM.
 */
int kvmintro_control_msr(struct kvmintro *k, uint16_t vcpu, uint32_t msr,
			 bool enable);

/**
 * kvmintro_control_singlestep - stop a vCPU after each instruction
 *
 * While it is on, every instruction brings a KVMI_VCPU_EVENT_SINGLESTEP, which
 * needs no other switch, and the guest's interrupts wait. Delivery of an exception
 * counts as an instruction. A vCPU that waits for the answer to an event carries
 * it out before that answer, if it is sent before.
 *
 * Return: 0; -EPERM if the VMM did not allow the event; -EOPNOTSUPP if the
 * processor cannot; -EBUSY while the VMM debugs the vCPU.
 */
int kvmintro_control_singlestep(struct kvmintro *k, uint16_t vcpu, bool enable);

/**
 * kvmintro_inject_exception - raise an exception in the guest
 * @vector: 0 to 31, but not 2
 * @error_code: for a vector that has one; ignored for others
 * @address: CR2, for a page fault (14); ignored for others
 *
 * Each success brings one KVMI_VCPU_EVENT_TRAP before any other event of the
 * vCPU. It tells what was delivered: another exception or interrupt if one was
 * on its way already.
 *
 * Return: 0; -EINVAL for another vector; -EPERM if the VMM did not allow the
 * event; -EBUSY if the TRAP of an earlier one is outstanding; -EOPNOTSUPP if the
 * vCPU waits to be started or runs a nested guest.
 */
int kvmintro_inject_exception(struct kvmintro *k, uint16_t vcpu, uint8_t vector,
			      uint32_t error_code, uint64_t address);

/** struct kvmintro_registers - registers of a vCPU */
struct kvmintro_registers {
	/** @mode: width of the running code in bytes: 2, 4 or 8 */
	uint32_t mode;
	/** @regs: general registers */
	struct kvm_regs regs;
	/** @sregs: special registers */
	struct kvm_sregs sregs;
};

/** KVMINTRO_MAX_MSRS - MSRs that one kvmintro_get_registers() can read */
#define KVMINTRO_MAX_MSRS 481

/**
 * kvmintro_get_registers - read the registers of a vCPU
 * @msrs: indices of MSRs to read as well, NULL for none
 * @values: receives the values of these MSRs
 * @count: number of them, at most KVMINTRO_MAX_MSRS
 *
 * Return: 0; -EINVAL if an MSR does not exist.
 */
int kvmintro_get_registers(struct kvmintro *k, uint16_t vcpu,
			   struct kvmintro_registers *registers,
			   const uint32_t *msrs, uint64_t *values,
			   size_t count);

/**
 * kvmintro_set_registers - write the general registers of a vCPU
 *
 * Only while the vCPU waits for the answer to an event; takes effect after it.
 *
 * Return: 0; -EOPNOTSUPP if the vCPU does not wait.
 */
int kvmintro_set_registers(struct kvmintro *k, uint16_t vcpu,
			   const struct kvm_regs *regs);

/**
 * kvmintro_get_cpuid - a CPUID leaf as the VMM configured it
 *
 * Return: 0; -ENOENT if there is no such leaf.
 */
int kvmintro_get_cpuid(struct kvmintro *k, uint16_t vcpu, uint32_t function,
		       uint32_t index, struct kvmi_vcpu_get_cpuid_reply *leaf);

/**
 * kvmintro_get_xcr - read an extended control register
 * @xcr: 0
 *
 * Return: 0; -EINVAL for any other register.
 */
int kvmintro_get_xcr(struct kvmintro *k, uint16_t vcpu, uint8_t xcr,
		     uint64_t *value);

/**
 * kvmintro_get_xsave - read the extended state: x87, SSE, AVX and so on
 * @state: receives it as XSAVE stores it, not compacted; KVMI_XSAVE_SIZE bytes.
 *	   What lies beyond (AMX tiles) is left out.
 */
int kvmintro_get_xsave(struct kvmintro *k, uint16_t vcpu,
		       struct kvmi_vcpu_xsave *state);

/**
 * kvmintro_set_xsave - write the extended state
 * @state: as kvmintro_get_xsave() gives it
 * @size: its size in bytes, at most KVMI_XSAVE_SIZE; zeros follow
 *
 * Parts that the header's XSTATE_BV leaves out are reset.
 *
 * Return: 0; -E2BIG if @size is larger; -EINVAL if the header names a part that
 * the guest does not have, or MXCSR has a reserved bit.
 */
int kvmintro_set_xsave(struct kvmintro *k, uint16_t vcpu, const void *state,
		       size_t size);

/**
 * kvmintro_get_mtrr_type - memory type that the guest's MTRRs give an address
 * @type: receives 0 uncacheable, 1 write combining, 4 write through, 5 write
 *	  protected or 6 write back
 *
 * Return: 0; -EINVAL if @gpa is beyond the guest's physical addresses;
 * -EOPNOTSUPP if the guest has no MTRRs.
 */
int kvmintro_get_mtrr_type(struct kvmintro *k, uint16_t vcpu, uint64_t gpa,
			   uint8_t *type);

/**
 * kvmintro_translate - guest virtual to guest physical address
 * @gpa: receives the address; of the byte, not of its page
 *
 * A supervisor's read with the vCPU's current page tables.
 *
 * Return: 0; -EFAULT if the address is not mapped.
 */
int kvmintro_translate(struct kvmintro *k, uint16_t vcpu, uint64_t gva,
		       uint64_t *gpa);

/**
 * kvmintro_read_virtual - read memory at a guest virtual address
 *
 * Translates each page with kvmintro_translate(). The guest can change its page
 * tables between two pages, unless it is paused.
 *
 * Return: 0; -EFAULT or -ENOENT with the pages before in @buf.
 */
int kvmintro_read_virtual(struct kvmintro *k, uint16_t vcpu, uint64_t gva,
			  void *buf, size_t size);

/**
 * kvmintro_write_virtual - write memory at a guest virtual address
 *
 * As kvmintro_read_virtual(). Page permissions of the guest do not matter.
 */
int kvmintro_write_virtual(struct kvmintro *k, uint16_t vcpu, uint64_t gva,
			   const void *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
