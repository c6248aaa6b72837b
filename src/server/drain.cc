#include "sluice/server/drain.h"

#include <algorithm>
#include <utility>

#include "sluice/base/check.h"
#include "sluice/base/log.h"
#include "sluice/base/units.h"

namespace sluice::server {

namespace {

constexpr Duration kTellEvery = std::chrono::seconds(2);

}  // namespace

Drain::Drain(loop::Loop& loop, std::function<void(Phase)> entered, std::function<uint32_t()> open)
    : loop_(loop),
      entered_(std::move(entered)),
      open_(std::move(open)),
      timer_(loop::Timer::make<&Drain::on_time>(loop, this)) {}

void Drain::request(const std::string& why, const Times& times) {
  switch (phase_) {
    case Phase::starting:
    case Phase::serving:
      times_ = times;
      log_info("drain", "{}: not ready any more; {} connections are open", why, open_());
      go(Phase::leaving);
      if (times.delay == Duration(0)) return begin_draining();
      log_info("drain", "still accepting for shutdown_delay {}", format_duration(times.delay));
      return timer_.set_after(times.delay);
    case Phase::leaving:
    case Phase::draining:
      return stop("asked again");
    case Phase::stopping:
      return;
  }
}

void Drain::begin_draining() {
  deadline_ = loop_.now() + times_.timeout;
  log_info("drain", "accepting no more; waiting up to {} for what is in flight",
           format_duration(times_.timeout));
  timer_.set_after(std::min(kTellEvery, times_.timeout));
  go(Phase::draining);
}

void Drain::on_time() noexcept {
  if (phase_ == Phase::leaving) return begin_draining();
  if (phase_ != Phase::draining) return;
  if (loop_.now() >= deadline_) return stop("drain_timeout passed");
  log_info("drain", "{} connections are open, {} left", open_(),
           format_duration(std::chrono::ceil<std::chrono::seconds>(deadline_ - loop_.now())));
  timer_.set(std::min(loop_.now() + kTellEvery, deadline_));
}

void Drain::finished() {
  if (phase_ == Phase::draining) stop("all is answered");
}

void Drain::stop(const char* why) {
  const uint32_t left = open_();
  if (left > 0) {
    log_warn("drain", "{}: closing {} connections", why, left);
  } else {
    log_info("drain", "{}: no connection is left", why);
  }
  timer_.cancel();
  go(Phase::stopping);
}

void Drain::go(Phase to) {
  SL_CHECK(to > phase_);
  phase_ = to;
  entered_(to);
}

}  // namespace sluice::server
