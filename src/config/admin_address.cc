#include "sluice/config/admin_address.h"

#include <unistd.h>

#include <cstdlib>

namespace sluice::config {

namespace {

std::optional<std::string> process_env(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

AdminSocket in_folder(std::string folder, bool make_private_folder) {
  std::string path = folder + "/admin.sock";
  return {std::move(folder), std::move(path), make_private_folder};
}

}  // namespace

std::vector<AdminSocket> admin_listen_candidates(
    const std::function<std::optional<std::string>(std::string_view)>& env) {
  const auto look_up = [&](std::string_view name) {
    return (env ? env(name) : process_env(name)).value_or(std::string());
  };
  std::vector<AdminSocket> sockets;
  // systemd lists the folders of RuntimeDirectory= with colons between them.
  std::string runtime = look_up("RUNTIME_DIRECTORY");
  runtime.resize(std::min(runtime.find(':'), runtime.size()));
  if (!runtime.empty()) sockets.push_back(in_folder(std::move(runtime), false));
  sockets.push_back(in_folder("/run/sluice", false));
  const std::string user = look_up("XDG_RUNTIME_DIR");
  if (!user.empty()) sockets.push_back(in_folder(user + "/sluice", true));
  sockets.push_back(in_folder("/tmp/sluice-" + std::to_string(getuid()), true));
  return sockets;
}

}  // namespace sluice::config
