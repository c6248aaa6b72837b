#include "sluice/server/logs.h"

#include <fmt/format.h>

#include <cstring>

#include "sluice/base/log.h"

namespace sluice::server {

namespace {

constexpr size_t kDiagnosticsRing = 64 * 1024;

}  // namespace

Logs::Logs(uint32_t workers) : workers_(workers) {
  const auto sink = writer_.open("stderr");
  SL_CHECK(sink.has_value());
  for (uint32_t i = 0; i <= workers; ++i) {
    diagnostics_.push_back(std::make_unique<LogRing>(kDiagnosticsRing));
    writer_.add(*diagnostics_.back(), *sink);
  }
  writer_.start();
}

Logs::~Logs() { writer_.stop(); }

OpenedAccess Logs::open_access(const config::AccessLog& configured) {
  if (configured.format == config::AccessLog::Format::kOff) return {};
  const auto sink = writer_.open(configured.path);
  if (!sink) {
    return {{},
            fmt::format("access_log.path: cannot open {} for appending: {}", configured.path,
                        std::strerror(sink.error().sys()))};
  }
  OpenedAccess opened;
  for (uint32_t i = 0; i < workers_; ++i) {
    opened.outputs.push_back(std::make_unique<AccessOutput>(writer_, configured.format));
    writer_.add(opened.outputs.back()->ring, *sink);
  }
  return opened;
}

void Logs::retire(AccessOutputs& outputs) {
  for (const auto& output : outputs) {
    writer_.remove(output->ring);
    dropped_before_.fetch_add(output->ring.dropped(), std::memory_order_relaxed);
  }
  outputs.clear();
}

uint64_t Logs::dropped(const AccessOutputs& present) const noexcept {
  uint64_t lines = dropped_before_.load(std::memory_order_relaxed) + writer_.lost_lines();
  for (const auto& ring : diagnostics_) lines += ring->dropped();
  for (const auto& output : present) lines += output->ring.dropped();
  return lines;
}

}  // namespace sluice::server
