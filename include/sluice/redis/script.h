// A Lua script that the server keeps: run by its hash, and by its text where the server does not
// know it (it was restarted, or its scripts were flushed).
//
// The hash is learned from SCRIPT LOAD when the client connects; until that is answered the text
// goes. Owner: who runs it; the Client outlives it, and it outlives its runs. Thread: the loop's.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/redis/client.h"

namespace sluice::redis {

class Script final : private ClientListener, private Call {
 public:
  Script(Client& client, std::string source);

  Client& client() const noexcept { return client_; }
  const std::string& source() const noexcept { return source_; }
  // 40 hexadecimal digits; empty until it is known.
  const std::string& hash() const noexcept { return hash_; }

 private:
  void on_client_ready() noexcept override { load(); }
  void on_reply(const Reply& reply) noexcept override;
  void on_failed(Fault, std::string_view) noexcept override {}  // its text will do
  void load();

  Client& client_;
  std::string source_;
  std::string hash_;
};

// One run at a time of a script, by who wants its result. The calls back are those of Call. To the
// breaker a run is a write.
class ScriptRun : private Call {
 public:
  void run(Script& script, std::span<const std::string_view> keys,
           std::span<const std::string_view> values, TimePoint deadline);
  using Call::cancel;
  using Call::is_pending;

 protected:
  ~ScriptRun() = default;

 private:
  virtual void on_script_reply(const Reply& reply) noexcept = 0;
  virtual void on_script_failed(Fault fault, std::string_view text) noexcept = 0;

  void send(bool by_hash);
  void on_reply(const Reply& reply) noexcept final { on_script_reply(reply); }
  void on_failed(Fault fault, std::string_view text) noexcept final;

  Script* script_ = nullptr;
  std::vector<std::string> args_;  // for the second try: the number of keys, keys, values
  TimePoint deadline_{};
  bool is_by_hash_ = false;
};

}  // namespace sluice::redis
