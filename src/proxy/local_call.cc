#include "sluice/proxy/local_call.h"

#include "sluice/proxy/exchange.h"

namespace sluice::proxy {

void LocalCall::reply(HandlerReply reply) {
  SL_CHECK(progress_ == Progress::waiting);
  output_ = std::move(reply.body);
  reply_ = std::move(reply);
  is_whole_ = true;
  progress_ = Progress::ended;
  wake();
}

void LocalCall::begin(HandlerReply head) {
  SL_CHECK(progress_ == Progress::waiting);
  reply_ = std::move(head);
  progress_ = Progress::begun;
  wake();
}

void LocalCall::write(std::string_view bytes) {
  SL_CHECK(progress_ == Progress::begun);
  if (is_gone()) return;
  output_ += bytes;
  wake();
}

void LocalCall::end() {
  SL_CHECK(progress_ == Progress::begun);
  progress_ = Progress::ended;
  wake();
}

size_t LocalCall::pending() const noexcept {
  return exchange_ == nullptr ? 0 : output_.size() + exchange_->client_->pending();
}

void LocalCall::detach(bool finished) noexcept {
  exchange_ = nullptr;
  if (!finished && on_gone_) std::exchange(on_gone_, nullptr)();
  on_gone_ = nullptr;
}

// An answer given inside Handler::handle() is seen by the step that made the call.
void LocalCall::wake() noexcept {
  if (exchange_ != nullptr) exchange_->run();
}

}  // namespace sluice::proxy
