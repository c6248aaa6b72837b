#include "sluice/orders/purge/purger.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "sluice/base/log.h"

namespace sluice::orders {

// One sluice, and what it has to hear.
class Purger::Host {
 public:
  Host(Purger& purger, PurgeTarget target)
      : purger_(purger),
        target_(std::move(target)),
        pause_(purger.options_.first_pause),
        timer_(loop::Timer::make<&Host::on_timer>(purger.loop_, this)) {}

  void add(const std::vector<std::string>& product_ids) {
    last_reason_ = purger_.loop_.now();
    put(product_ids);
    if (!call_ && !timer_.is_set()) send();
  }
  // Once more, and no more.
  void hurry() {
    is_last_try_ = true;
    if (timer_.is_set()) on_timer();
  }
  bool is_idle() const noexcept { return !call_ && !timer_.is_set(); }

 private:
  void put(const std::vector<std::string>& product_ids) {
    has_reason_ = true;
    for (const std::string& id : product_ids) {
      if (waiting_.size() == purger_.options_.most_waiting) return;
      if (std::ranges::find(waiting_, id) == waiting_.end()) waiting_.push_back(id);
    }
  }

  void on_timer() noexcept {
    timer_.cancel();
    send();
  }

  void send() {
    has_reason_ = false;
    asked_ = std::exchange(waiting_, {});
    const nlohmann::json body = {{"tags", purge_tags(asked_)}};
    call_ = std::make_unique<PurgeCall>(
        purger_.loop_, target_, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
        [this](const std::string& problem) { on_done(problem); });
  }

  void on_done(const std::string& problem) {
    purger_.loop_.bury(call_.release());
    if (problem.empty()) {
      on_told();
    } else {
      on_failed(problem);
    }
    if (is_idle()) purger_.on_idle();
  }

  void on_told() {
    ++purger_.counts_.done;
    if (std::exchange(is_failing_, false))
      log_info("purge", "{}: it answers again", target_.text());
    pause_ = purger_.options_.first_pause;
    if (has_reason_) send();
  }

  void on_failed(const std::string& problem) {
    ++purger_.counts_.failed;
    const PurgerOptions& options = purger_.options_;
    if (!std::exchange(is_failing_, true)) {
      log_warn("purge", "{}: {}; tried again for {} s", target_.text(), problem,
               options.life / std::chrono::seconds(1));
    }
    if (is_last_try_ || purger_.loop_.now() - last_reason_ > options.life) {
      ++purger_.counts_.given_up;
      waiting_.clear();
      pause_ = options.first_pause;
      log_warn("purge", "{}: given up; what it has cached is shown until it expires",
               target_.text());
      return;
    }
    put(asked_);
    timer_.set_after(pause_);
    pause_ = std::min(pause_ * 2, options.longest_pause);
  }

  Purger& purger_;
  PurgeTarget target_;
  std::vector<std::string> waiting_, asked_;  // product ids
  bool has_reason_ = false;                   // since the last call began
  bool is_failing_ = false, is_last_try_ = false;
  TimePoint last_reason_{};
  Duration pause_;
  loop::Timer timer_;
  std::unique_ptr<PurgeCall> call_;
};

Purger::Purger(loop::Loop& loop, const std::vector<PurgeTarget>& targets, PurgerOptions options)
    : loop_(loop),
      options_(options),
      timer_(loop::Timer::make<&Purger::on_patience_over>(loop, this)) {
  for (const PurgeTarget& target : targets) hosts_.push_back(std::make_unique<Host>(*this, target));
}

Purger::~Purger() = default;

void Purger::purge(const std::vector<std::string>& product_ids) {
  for (const auto& host : hosts_) host->add(product_ids);
}

void Purger::stop(Duration patience, std::function<void()> done) {
  on_stopped_ = std::move(done);
  timer_.set_after(patience);
  for (const auto& host : hosts_) host->hurry();
  // Not inside this call.
  loop_.post([this] { on_idle(); });
}

void Purger::on_idle() {
  if (!on_stopped_) return;
  if (std::ranges::all_of(hosts_, [](const auto& host) { return host->is_idle(); })) {
    std::exchange(on_stopped_, nullptr)();
  }
}

void Purger::on_patience_over() noexcept {
  timer_.cancel();
  if (on_stopped_) std::exchange(on_stopped_, nullptr)();
}

void Purger::write_metrics(stats::PrometheusWriter& out) const {
  out.family("sluice_orders_purges_total", stats::MetricType::counter,
             "Requests to the sluices of --purge: done, failed and tried again, given up");
  out.sample({{"result", "done"}}, counts_.done);
  out.sample({{"result", "failed"}}, counts_.failed);
  out.sample({{"result", "given_up"}}, counts_.given_up);
}

std::vector<std::string> purge_tags(const std::vector<std::string>& product_ids) {
  std::vector<std::string> tags = {"products"};
  for (const std::string& id : product_ids) tags.push_back("product-" + id);
  return tags;
}

}  // namespace sluice::orders
