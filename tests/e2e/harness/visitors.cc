#include "tests/e2e/harness/visitors.h"

#include <random>

#include "tests/e2e/harness/sluice.h"

namespace e2e {

Visitors::Visitors(VisitPlan plan) : plan_(std::move(plan)) {
  for (int i = 0; i < plan_.clients; ++i) {
    threads_.emplace_back([this, i] { run(i); });
  }
}

void Visitors::run(int client) {
  std::minstd_rand random(static_cast<unsigned>(client) + 1);
  Wire wire;
  while (!stopping_) {
    const std::string path = "/v/" + std::to_string(random() % plan_.urls);
    try {
      if (!wire.is_open()) wire = Wire::to_port(plan_.port);
      visit(wire, path);
    } catch (const Failure& failure) {
      note_failure(path + ": " + failure.what());
      wire = Wire();
    }
  }
}

void Visitors::visit(Wire& wire, const std::string& path) {
  const auto begin = Clock::now();
  wire.send(request_text(path));
  const Message answer = wire.read_response();
  if (Clock::now() - begin > plan_.slow) ++slow_;
  if (const std::string wrong = plan_.judge(path, answer); !wrong.empty()) {
    note_failure(path + ": " + wrong + "\n" + answer.raw_head);
  }
  ++answers_;
  if (answer.field("Connection") == "close") wire = Wire();
}

void Visitors::note_failure(const std::string& why) {
  ++failures_;
  const std::lock_guard lock(mutex_);
  if (first_failure_.empty()) first_failure_ = why;
}

std::string Visitors::first_failure() {
  const std::lock_guard lock(mutex_);
  return first_failure_;
}

void Visitors::wait_for_more(uint64_t answers) {
  const uint64_t goal = answers_ + answers;
  if (!eventually([&] { return answers_ >= goal; }, kPatience * 4)) {
    throw Failure("the visitors get no answers: " + first_failure());
  }
}

void Visitors::finish() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace e2e
