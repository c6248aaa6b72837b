#include "sluice/orders/gate/repair.h"

#include <unistd.h>

#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include "gate_builder.h"
#include "gate_compare.h"
#include "gate_link.h"
#include "sluice/orders/gate/stock_gate.h"
#include "sluice/orders/order_id.h"

namespace sluice::orders {
namespace {

constexpr Duration kPause = std::chrono::milliseconds(50);

// One after the other, on the loop; each step names the next.
class Job {
 public:
  Job(loop::Loop& loop, ShopStore& store, const redis::Address& address, bool is_dry)
      : loop_(loop),
        is_dry_(is_dry),
        link_(loop, address),
        compare_(link_, store),
        builder_(link_, store, "repair/" + make_order_id(wall_now())),
        pause_(loop::Timer::make<&Job::on_pause>(loop, this)),
        alarm_(loop::Timer::make<&Job::on_alarm>(loop, this)) {}

  int run() {
    link_.on_ready([this] { step_look(); });
    link_.start();
    alarm_.set_after(Repair::kPatience);
    loop_.set_resident(true);
    loop_.run();
    return exit_code_;
  }

 private:
  void step_look() {
    link_.on_ready(nullptr);
    link_.ask(GateScript::look, {}, std::chrono::seconds(1), [this](const GateReply& reply) {
      if (reply.fault) return end("Redis does not answer");
      epoch_ = reply.at(1);
      step_compare();
    });
  }

  void step_compare() {
    compare_.compare([this](const std::optional<GateComparison>& found) {
      show(found);
      if (is_dry_) return end({}, found && found->drift() == 0);
      step_build();
    });
  }

  void step_build() {
    builder_.build(epoch_, [this](GateBuilder::End end, const std::string& epoch, bool is_ours) {
      if (end == GateBuilder::End::failed)
        return this->end("the gate could not be built; see above");
      if (end == GateBuilder::End::locked) return pause_.set_after(kPause);
      fmt::print("sluice-orders: {} built the gate anew from the database, epoch {}\n",
                 is_ours ? "this repair" : "another process", epoch);
      compare_.compare([this](const std::optional<GateComparison>& found) {
        show(found);
        this->end({}, found && found->drift() == 0);
      });
    });
  }

  void show(const std::optional<GateComparison>& found) {
    if (!found) {
      return fmt::print(
          "sluice-orders: not compared: the gate is not built, or too busy just now\n");
    }
    for (const GateStock& each : found->stock) {
      fmt::print("sluice-orders: {}: the gate has {}, reservations {}, the database {}; drift {}\n",
                 each.product_id, each.left, each.held, each.available, each.drift());
    }
    fmt::print("sluice-orders: drift {} units\n", found->drift());
  }

  void end(const std::string& problem, bool is_well = false) {
    if (!problem.empty()) fmt::print(stderr, "sluice-orders: {}\n", problem);
    exit_code_ = is_well ? 0 : 1;
    loop_.stop();
  }
  void on_pause() noexcept { step_build(); }
  void on_alarm() noexcept { end("Redis or the database does not answer in time"); }

  loop::Loop& loop_;
  bool is_dry_;
  GateLink link_;
  GateCompare compare_;
  GateBuilder builder_;
  loop::Timer pause_, alarm_;
  std::string epoch_;
  int exit_code_ = 1;
};

}  // namespace

int Repair::run() {
  loop::Loop loop;
  OpenedStore opened = open_store(loop, options_.database, {});
  if (opened.store == nullptr) {
    fmt::print(stderr, "sluice-orders: {}\n", opened.problem);
    return 1;
  }
  fmt::print("sluice-orders: database {}{}\n", opened.store->text(), stock_text(options_.stock));
  Job job(loop, *opened.store, *redis::parse_address(options_.stock), options_.is_dry);
  const int exit_code = job.run();
  std::fflush(stdout);
  return exit_code;
}

}  // namespace sluice::orders
