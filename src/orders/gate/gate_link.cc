#include "gate_link.h"

#include <charconv>
#include <utility>

#include "gate_scripts.h"
#include "sluice/base/check.h"

namespace sluice::orders {
namespace {

redis::ClientOptions client_options(const redis::Address& address) {
  redis::ClientOptions options;
  options.link = gate_link_options(address);
  // Who is refused has another way to go; so a server that fails is left alone soon, and tried
  // soon.
  options.breaker = {3, std::chrono::milliseconds(200), std::chrono::seconds(1)};
  return options;
}

std::string source_of(GateScript script) {
  switch (script) {
    case GateScript::reserve:
      return reserve_script();
    case GateScript::settle:
      return settle_script();
    case GateScript::raise:
      return raise_script();
    case GateScript::lower:
      return lower_script();
    case GateScript::look:
      return look_script();
    case GateScript::begin:
      return begin_script();
    case GateScript::learn:
      return learn_script();
    case GateScript::install:
      return install_script();
    case GateScript::expired:
      return expired_script();
    case GateScript::compare:
      return compare_script();
    case GateScript::read_entry:
      return read_entry_script();
    case GateScript::fill_entry:
      return fill_entry_script();
    case GateScript::forget_entry:
      return forget_entry_script();
    case GateScript::read_view:
      return read_view_script();
    case GateScript::fill_view:
      return fill_view_script();
    case GateScript::kCount:
      break;
  }
  SL_CHECK(false);
  return {};
}

}  // namespace

redis::LinkOptions gate_link_options(const redis::Address& address) {
  redis::LinkOptions options;
  options.address = address;
  options.longest_pause = std::chrono::milliseconds(500);
  options.limits.elements = 1 << 20;  // all products, all open reservations
  return options;
}

const std::string& GateReply::at(size_t place) const noexcept {
  static const std::string kNone;
  return place < words.size() ? words[place] : kNone;
}

int64_t GateReply::number(size_t place) const noexcept {
  const std::string& word = at(place);
  int64_t number = 0;
  const auto read = std::from_chars(word.data(), word.data() + word.size(), number);
  return read.ec == std::errc() && read.ptr == word.data() + word.size() ? number : 0;
}

bool GateReply::is_broken() const noexcept {
  return fault == redis::Fault::kWrongType || fault == redis::Fault::kOther;
}

// One call under way. Buried when it is over, since its own frame is then on the stack.
class GateLink::Run final : public redis::ScriptRun, public loop::Buried {
 public:
  Run(GateLink& link, Done done) : link_(link), done_(std::move(done)) {}
  Done take_done() { return std::move(done_); }

 private:
  void on_script_reply(const redis::Reply& reply) noexcept override {
    GateReply words;
    if (reply.type() == redis::Type::kArray) {
      for (const redis::Reply& word : reply) words.words.emplace_back(word.text());
    }
    if (words.words.empty()) words.fault = redis::Fault::kOther;
    link_.finish(*this, std::move(words));
  }
  void on_script_failed(redis::Fault fault, std::string_view) noexcept override {
    link_.finish(*this, GateReply{fault, {}});
  }

  GateLink& link_;
  Done done_;
};

GateLink::GateLink(loop::Loop& loop, const redis::Address& address)
    : loop_(loop), client_(loop, client_options(address)) {
  for (size_t i = 0; i < static_cast<size_t>(GateScript::kCount); ++i) {
    scripts_.push_back(
        std::make_unique<redis::Script>(client_, source_of(static_cast<GateScript>(i))));
  }
  client_.add(*this);
}

GateLink::~GateLink() = default;

void GateLink::ask(GateScript script, std::vector<std::string> values, Duration budget, Done done) {
  auto made = std::make_unique<Run>(*this, std::move(done));
  Run& run = *made;
  runs_.emplace(&run, std::move(made));
  const std::string_view keys[] = {kGateName};
  const std::vector<std::string_view> views(values.begin(), values.end());
  run.run(*scripts_[static_cast<size_t>(script)], keys, views, loop_.now() + budget);
}

void GateLink::finish(Run& run, GateReply reply) noexcept {
  const auto found = runs_.find(&run);
  SL_CHECK(found != runs_.end());
  loop_.bury(found->second.release());
  runs_.erase(found);
  const Done done = run.take_done();
  done(reply);
}

}  // namespace sluice::orders
