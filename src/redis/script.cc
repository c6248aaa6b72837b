#include "sluice/redis/script.h"

#include <algorithm>
#include <utility>

#include "sluice/base/strings.h"

namespace sluice::redis {
namespace {

constexpr Duration kLoadTime = std::chrono::seconds(1);

bool is_hash(std::string_view text) noexcept {
  return text.size() == 40 && std::ranges::all_of(text, [](char c) { return hex_value(c) >= 0; });
}

}  // namespace

Script::Script(Client& client, std::string source) : client_(client), source_(std::move(source)) {
  client_.add(*this);
  if (client_.is_ready()) load();
}

void Script::load() {
  if (!hash_.empty() || is_pending()) return;
  client_.command({"SCRIPT", "LOAD", source_}, Intent::kWrite, client_.loop().now() + kLoadTime,
                  *this);
}

void Script::on_reply(const Reply& reply) noexcept {
  if (is_hash(reply.text())) hash_ = reply.text();
}

void ScriptRun::run(Script& script, std::span<const std::string_view> keys,
                    std::span<const std::string_view> values, TimePoint deadline) {
  script_ = &script;
  deadline_ = deadline;
  args_.clear();
  args_.push_back(std::to_string(keys.size()));
  args_.insert(args_.end(), keys.begin(), keys.end());
  args_.insert(args_.end(), values.begin(), values.end());
  send(!script.hash().empty());
}

void ScriptRun::send(bool by_hash) {
  is_by_hash_ = by_hash;
  std::vector<Arg> args{by_hash ? "EVALSHA" : "EVAL",
                        by_hash ? script_->hash() : script_->source()};
  args.insert(args.end(), args_.begin(), args_.end());
  script_->client().command(args, Intent::kWrite, deadline_, *this);
}

void ScriptRun::on_failed(Fault fault, std::string_view text) noexcept {
  if (fault == Fault::kNoScript && is_by_hash_) return send(false);
  on_script_failed(fault, text);
}

}  // namespace sluice::redis
