// The steps of an exchange that sluice answers itself: handlers, redirects, fixed and error
// replies.
#include <optional>
#include <utility>

#include "sluice/base/strings.h"
#include "sluice/proxy/exchange.h"
#include "sluice/proxy/handler.h"
#include "sluice/proxy/local_call.h"
#include "sluice/proxy/local_reply.h"

namespace sluice::proxy {

Exchange::Turn Exchange::step_handle() noexcept {
  Handler& handler = *site_.handler();
  if (call_ == nullptr) {
    call_ = std::make_shared<LocalCall>(*this, site_.kit().loop);
    gather_request();
    ask_for_body();
  }
  if (!call_->was_handed()) {
    if (Error error = client_->error()) return fail(error);
    Chain& body = client_->body();
    bytes_in_ += body.size();
    call_->gather().body += body.to_string();
    body.clear();
    if (bytes_in_ > handler.max_body()) return fail(Error(Errc::kBodyTooLarge));
    if (!client_->is_body_complete()) return Turn::wait;
    call_->set_handed();
    handler.handle(call_);
  }
  return answer_call();
}

// RFC 9110 section 10.1.1: we are the origin here, and want the body.
void Exchange::ask_for_body() noexcept {
  if (!client_->is_body_held()) return;
  http::ResponseHead go_on;
  go_on.status = 100;
  go_on.reason = http::reason_phrase(100);
  client_->send_interim(go_on);
  client_->flush();
}

void Exchange::gather_request() {
  HandlerRequest& request = call_->gather();
  request.method = head_.method;
  request.method_text = head_.method_text;
  request.path = path_;
  size_t query = head_.path.find('?');
  if (query != std::string_view::npos) request.query = head_.path.substr(query + 1);
  request.client_ip = client_->client().ip;
  request.is_unix_client = client_->client().address.is_unix();
  request.request_id = request_id_;
  for (const http::Field& field : head_.fields) {
    request.fields.emplace_back(lower(field.name), field.value);
  }
}

// Sends what the handler has answered so far.
Exchange::Turn Exchange::answer_call() noexcept {
  if (Error error = client_->error(); error && call_->was_handed()) {
    error_ = error;
    go(Step::kAbort);
    return Turn::go_on;
  }
  if (!call_->has_head()) return Turn::wait;
  if (!response_begun_) {
    send_call_head();
  }
  std::string output = call_->take_output();
  if (!output.empty() && head_.method != http::Method::head) {
    bytes_out_ += output.size();
    Chain body;
    ChainWriter(site_.kit().loop.chunks(), body).write(output);
    client_->send_body(std::move(body));
  }
  if (call_->is_ended()) client_->send_end(nullptr);
  client_->flush();
  if (!call_->is_ended()) return Turn::wait;
  go(Step::kFlush);
  return Turn::go_on;
}

void Exchange::send_call_head() noexcept {
  const HandlerReply& reply = call_->head();
  auto* fields = arena_.allocate_array<http::Field>(reply.fields.size());
  for (size_t i = 0; i < reply.fields.size(); ++i) {
    const auto& [name, value] = reply.fields[i];
    new (&fields[i]) http::Field{name, value, http::field_id(name)};
  }
  http::ResponseHead head;
  head.status = reply.status;
  head.reason = http::reason_phrase(reply.status);
  head.fields = http::FieldList({fields, reply.fields.size()});
  bool has_body = reply.status != 204 && reply.status != 304;
  if (has_body && !call_->is_whole() && head_.method != http::Method::head) {
    head.framing.kind = http::BodyKind::chunked;
  }
  if (has_body && call_->is_whole()) {
    head.framing = {http::BodyKind::length, call_->output_size()};
  }
  send_own_head(head, {}, head_.keep_alive);
}

Exchange::Turn Exchange::step_reply() noexcept {
  SL_CHECK(!response_begun_ && upstream_ == nullptr && endpoint_ == nullptr);
  ErrorReplyInput input;
  input.error = error_;
  input.request = has_head_ ? &head_ : nullptr;
  input.next_hop = last_endpoint_;
  input.request_id = request_id_;
  input.had_to_validate = had_to_validate();
  std::optional<HandlerReply> dress;
  if (Handler* handler = site_.handler()) {
    const ErrorRow& row = error_row(error_.code());
    dress = handler->dress({row.status, row.token, row.help});
  }
  if (dress) input.dress = &*dress;
  send_local(make_error_reply(input, arena_));
  return Turn::go_on;
}

// Heads of our own making; an upload that has not ended cannot be followed by another request.
void Exchange::send_own_head(const http::ResponseHead& head, std::string_view extra_lines,
                             bool keep_alive) noexcept {
  http::ResponseForwarding how;
  how.framing = head.framing;
  how.keep_alive = keep_alive && !site_.kit().draining && client_->is_body_complete();
  how.request_id = request_id_;
  how.extra_lines = extra_lines;
  how.is_local = true;
  how.keep_length = head_.method == http::Method::head;  // RFC 9110 section 9.3.2
  client_->send_head(head, how);
  status_ = head.status;
  response_begun_ = true;
}

void Exchange::send_local(LocalReply&& reply) noexcept {
  // RFC 9211: of every response that the cache had a part in.
  std::string_view lines = cache_ != nullptr ? cache_lines() : std::string_view();
  send_own_head(reply.head, lines, head_.keep_alive && !reply.close);
  if (!reply.body.is_empty()) {
    bytes_out_ += reply.body.size();
    client_->send_body(std::move(reply.body));
  }
  client_->send_end(nullptr);
  client_->flush();
  go(Step::kFlush);
}

}  // namespace sluice::proxy
