// Where the admin API is when the file does not say: the same list for the daemon, which binds the
// first it can, and for the client verbs, which talk to the first that answers.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::config {

struct AdminSocket {
  std::string folder;
  std::string path;  // folder + "/admin.sock"
  // The daemon makes the folder with mode 0700 when it is missing, and uses one that is there only
  // if it is a folder (not a link) of its own user that others cannot write to.
  bool make_private_folder = false;
};

// In the order to try: $RUNTIME_DIRECTORY, /run/sluice, $XDG_RUNTIME_DIR/sluice, /tmp/sluice-UID.
// Pure: looks at no file. `env` empty: the environment of this process.
std::vector<AdminSocket> admin_listen_candidates(
    const std::function<std::optional<std::string>(std::string_view)>& env = {});

}  // namespace sluice::config
