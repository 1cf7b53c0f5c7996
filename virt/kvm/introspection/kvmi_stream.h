/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVMI_STREAM_H
#define __KVMI_STREAM_H

/* From the connection to a handler, and back. Included by kvmi_int.h. */

/* socket.c */
struct socket *kvmi_socket_get(int fd);
void kvmi_socket_attach(struct kvm_introspection *kvmi, struct socket *sock);
void kvmi_socket_detach(struct kvm_introspection *kvmi);
int kvmi_socket_receive(struct kvm_introspection *kvmi, size_t size);
int kvmi_socket_peek(struct kvm_introspection *kvmi, void *buf, size_t size);
void kvmi_socket_drop(struct kvm_introspection *kvmi);
bool kvmi_socket_has_more(struct kvm_introspection *kvmi);
int kvmi_socket_send(struct kvm_introspection *kvmi, u32 epoch,
		     void *buf, size_t size);
int kvmi_socket_send_event(struct kvm_introspection *kvmi, u32 epoch,
			   void *buf, size_t size);
void kvmi_socket_shutdown(struct kvm_introspection *kvmi, u32 epoch);

/* reader.c */
void kvmi_reader_wake(struct kvm_introspection *kvmi);
void kvmi_reader_sleep(struct kvm_introspection *kvmi);
void kvmi_reader_guess(struct kvm_vcpu *vcpu);
bool kvmi_reader_take(struct kvm_vcpu *vcpu);
void kvmi_reader_hand_back(struct kvm_vcpu *vcpu);
int kvmi_reader_wait(struct kvm_vcpu *vcpu);
void kvmi_forget_reply(struct kvm_introspection *kvmi);

/* receive.c */
int kvmi_receiver(void *arg);
struct kvm_vcpu *kvmi_find_vcpu(struct kvm *kvm, const struct kvmi_vcpu_hdr *hdr);
int kvmi_receive(struct kvm_introspection *kvmi, struct kvm_vcpu *reader);
void kvmi_release(struct kvm_introspection *kvmi);
void kvmi_call_and_reply(struct kvm_introspection *kvmi, u32 epoch,
			 const struct kvmi_command *cmd,
			 const struct kvmi_msg_hdr *hdr,
			 struct kvmi_call *call, void *tx);

#endif /* __KVMI_STREAM_H */
