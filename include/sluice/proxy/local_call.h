// A handler's call: the request gathered whole, and what the handler answered, kept until the
// exchange takes it.
//
// Owner: shared by the exchange and the handler; thread: the worker's loop. detach() cuts the link
// when the exchange ends; a handler that answers later answers nobody.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "sluice/proxy/handler.h"

namespace sluice::proxy {

class Exchange;

class LocalCall final : public HandlerCall {
 public:
  LocalCall(Exchange& exchange, loop::Loop& loop) : exchange_(&exchange), loop_(loop) {}

  const HandlerRequest& request() const noexcept override { return request_; }
  loop::Loop& loop() noexcept override { return loop_; }
  void reply(HandlerReply reply) override;
  void begin(HandlerReply head) override;
  void write(std::string_view bytes) override;
  void end() override;
  size_t pending() const noexcept override;
  bool is_gone() const noexcept override { return exchange_ == nullptr; }
  void on_gone(std::function<void()> f) override { on_gone_ = std::move(f); }

  // For the exchange.
  HandlerRequest& gather() noexcept { return request_; }
  bool was_handed() const noexcept { return was_handed_; }
  void set_handed() noexcept { was_handed_ = true; }
  bool has_head() const noexcept { return progress_ != Progress::waiting; }
  bool is_whole() const noexcept { return is_whole_; }  // head and body came at once
  bool is_ended() const noexcept { return progress_ == Progress::ended; }
  const HandlerReply& head() const noexcept { return reply_; }
  size_t output_size() const noexcept { return output_.size(); }
  std::string take_output() { return std::exchange(output_, {}); }
  void detach(bool finished) noexcept;

 private:
  enum class Progress : uint8_t { waiting, begun, ended };
  void wake() noexcept;

  Exchange* exchange_;
  loop::Loop& loop_;
  HandlerRequest request_;
  HandlerReply reply_;
  std::string output_;
  std::function<void()> on_gone_;
  Progress progress_ = Progress::waiting;
  bool was_handed_ = false;
  bool is_whole_ = false;
};

}  // namespace sluice::proxy
