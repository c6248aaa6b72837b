#include "sluice/server/admin_door.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sluice/base/log.h"
#include "sluice/config/admin_address.h"

namespace sluice::server {

namespace {

using Kind = config::BindAddress::Kind;

constexpr unsigned kSocketMode = 0660;
constexpr uint32_t kMostConnections = 256;

config::BindAddress unix_bind(const std::string& path) {
  config::BindAddress bind;
  bind.kind = Kind::kUnix;
  bind.path = path;
  return bind;
}

OpenedSockets open_one(const config::BindAddress& bind, PassedSockets& passed) {
  return open_sockets({.bind = bind, .workers = 1, .unix_mode = kSocketMode, .passed = &passed});
}

std::string check_folder(const config::AdminSocket& place) {
  if (place.make_private_folder) return claim_private_folder(place.folder);
  if (access(place.folder.c_str(), W_OK | X_OK) == 0) return {};
  return std::string(place.folder) + ": " + std::strerror(errno);
}

// The first of the contract's list that can be had.
OpenedSockets open_default(PassedSockets& passed) {
  std::string problems;
  for (const config::AdminSocket& place : config::admin_listen_candidates()) {
    std::string problem = check_folder(place);
    if (problem.empty()) {
      OpenedSockets opened = open_one(unix_bind(place.path), passed);
      if (opened.sockets != nullptr) return opened;
      problem = std::move(opened.problem);
    }
    problems += (problems.empty() ? "" : "; ") + problem;
  }
  return {nullptr, problems};
}

// A folder that the file names and that is not there is made for the group as well as for us.
void make_parent_folder(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return;
  mkdir(path.substr(0, slash).c_str(), 0750);
}

config::Listener admin_listener() {
  config::Listener listener;
  listener.name = "admin";
  listener.limits.connections = kMostConnections;
  return listener;
}

}  // namespace

AdminDoor::AdminDoor(loop::Loop& loop, proxy::Handler& api, stats::NameTable& names)
    : pool_(loop, block_.counters),
      kit_{.loop = loop,
           .counters = block_.counters,
           .requests = block_.requests,
           .connections = pool_},
      site_(kit_, api, names),
      shared_(std::make_shared<downstream::ListenerShared>("admin", names.intern("admin"))) {}

AdminDoor::~AdminDoor() { close(); }

void AdminDoor::close() {
  if (listener_ != nullptr) leaving_.push_back(std::move(listener_));
  for (const auto& each : leaving_) {
    each->drain();
    each->close_all(CloseReason::kShutdown);
  }
}

std::string AdminDoor::open(const std::optional<config::BindAddress>& bind, PassedSockets& passed) {
  std::erase_if(leaving_, [](const auto& each) { return each->is_empty(); });
  if (bind && bind->kind == Kind::kUnix) make_parent_folder(bind->path);
  OpenedSockets opened = bind ? open_one(*bind, passed) : open_default(passed);
  if (opened.sockets == nullptr) return "admin: " + opened.problem;
  if (bind && is_public(*bind)) {
    log_warn("admin",
             "{} can be reached from other hosts, and whoever reaches it may drain endpoints and "
             "reload: bind it to 127.0.0.1 or a unix socket",
             opened.sockets->text());
  }
  take(std::move(opened.sockets));
  return {};
}

void AdminDoor::take(std::shared_ptr<Sockets> sockets) {
  if (listener_ != nullptr) {
    listener_->drain();
    leaving_.push_back(std::move(listener_));
  }
  sockets_ = std::move(sockets);
  listener_ = std::make_unique<downstream::Listener>(kit_, site_, admin_listener(), shared_,
                                                     sockets_->fd_for(0));
}

bool is_public(const config::BindAddress& bind) noexcept {
  if (bind.kind != Kind::kTcp) return false;
  return bind.host != "::1" && bind.host.rfind("127.", 0) != 0;
}

std::string claim_private_folder(const std::string& folder) {
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return fmt::format("{}: {}", folder, std::strerror(errno));
  }
  struct stat info;
  if (lstat(folder.c_str(), &info) != 0) return fmt::format("{}: {}", folder, std::strerror(errno));
  if (!S_ISDIR(info.st_mode)) return folder + ": not a folder";
  if (info.st_uid != geteuid()) return folder + ": belongs to another user";
  if ((info.st_mode & 022) != 0) return folder + ": others may write to it";
  return {};
}

}  // namespace sluice::server
