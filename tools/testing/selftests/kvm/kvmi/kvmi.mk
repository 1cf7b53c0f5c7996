# SPDX-License-Identifier: GPL-2.0-only
#
# VM introspection tests; included by ../Makefile. Each is one program of TAP
# cases, kvmi_bench prints figures and is not run by `make run_tests`.

LIBKVM_x86_64 += kvmi/kvmi_step_insn.c
LIBKVM_x86_64 += kvmi/kvmi_test_insn.c
LIBKVM_x86_64 += kvmi/kvmi_test_threads.c
LIBKVM_x86_64 += kvmi/kvmi_test_util.c
LIBKVM_x86_64 += kvmi/kvmi_test_vm.c

TEST_GEN_PROGS_x86_64 += kvmi/kvmi_attach_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_breakpoint_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_cmd_error_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_cmd_response_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_cmpxchg_flags_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_control_msr_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_cpuid_event_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_cpuid_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_cr_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_descriptor_modes_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_descriptor_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_event_control_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_event_reply_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_fail_nth_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_fpu_race_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_guest_debug_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_hypercall_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_inject_states_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_inject_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_int3_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_ioctl_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_mem_change_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_mem_file_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_mem_fuzz_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_mem_kill_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_mem_map_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_memory_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_msr_filter_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_msr_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_mtrr_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_nested_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_page_access_kept_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_page_access_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_patch_race_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pause_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_async_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_balloon_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_data_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_delivery_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_exec_insn_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_exec_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_ksm_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_implied_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_io_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_mm_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_modes_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_nested_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_offset_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_random_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_reply_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_smp_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_swap_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_thp_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_uffd_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_wait_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_pf_walk_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_process_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_proto_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_race_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_reader_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_registers_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_slow_tool_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_stats_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_step_insn_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_step_irq_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_step_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_stream_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_stuck_tool_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_switch_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_translate_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_vcpu_state_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_vm_info_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_wait_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_xcr_test
TEST_GEN_PROGS_x86_64 += kvmi/kvmi_xsave_test

TEST_GEN_PROGS_EXTENDED_x86_64 += kvmi/kvmi_bench

# Run in a guest (kvmmem_test) and beside it (kvmmem_target), see harness/l2/kvmmem.sh.
TEST_GEN_PROGS_EXTENDED_x86_64 += kvmi/kvmmem_target
TEST_GEN_PROGS_EXTENDED_x86_64 += kvmi/kvmmem_test
# It may be the only program there, and has no VM: libkvm would look for KVM.
%/kvmi/kvmmem_test: LDFLAGS += -static
%/kvmi/kvmmem_test: LIBKVM_OBJS =
