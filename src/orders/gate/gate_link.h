// The Redis server of the stock gate, as one process uses it: its scripts, each call bounded in
// time.
//
// Owner: a gated store, or the repair. Thread: its loop's. A call is answered once, never inside
// ask(), and not after the link was destroyed.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "sluice/loop/loop.h"
#include "sluice/redis/client.h"
#include "sluice/redis/script.h"

namespace sluice::orders {

enum class GateScript : uint8_t {
  reserve,
  settle,
  raise,
  lower,
  look,
  begin,
  learn,
  install,
  expired,
  compare,
  read_entry,
  fill_entry,
  forget_entry,
  read_view,
  fill_view,
  kCount
};

struct GateReply {
  std::optional<redis::Fault> fault;  // there is no reply
  std::vector<std::string> words;     // never empty without a fault

  bool is(std::string_view code) const noexcept { return !fault && words[0] == code; }
  // The word at that place, "" behind the last.
  const std::string& at(size_t place) const noexcept;
  int64_t number(size_t place) const noexcept;  // 0: it is none
  // A script failed: its keys hold what no script of ours wrote.
  bool is_broken() const noexcept;
};

class GateLink final : private redis::ClientListener {
 public:
  using Done = std::function<void(const GateReply&)>;

  GateLink(loop::Loop& loop, const redis::Address& address);
  ~GateLink();
  GateLink(const GateLink&) = delete;
  GateLink& operator=(const GateLink&) = delete;

  void start() { client_.start(); }
  void ask(GateScript script, std::vector<std::string> values, Duration budget, Done done);
  // Connected, and not failing. A call is refused at once otherwise, but for a probe now and then.
  bool is_up() const noexcept { return client_.health().is_up; }
  // Called whenever the connection is there again. Set once, before start().
  void on_ready(std::function<void()> told) { ready_ = std::move(told); }
  loop::Loop& loop() noexcept { return loop_; }

 private:
  class Run;

  void on_client_ready() noexcept override {
    if (ready_) ready_();
  }
  void finish(Run& run, GateReply reply) noexcept;

  loop::Loop& loop_;
  redis::Client client_;
  std::vector<std::unique_ptr<redis::Script>> scripts_;
  std::unordered_map<Run*, std::unique_ptr<Run>> runs_;
  std::function<void()> ready_;
};

// For Client and Subscriber alike.
redis::LinkOptions gate_link_options(const redis::Address& address);

}  // namespace sluice::orders
