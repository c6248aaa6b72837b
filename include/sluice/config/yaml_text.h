// Lines of YAML to be written. Internal to config.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/config/schema.h"

namespace sluice::config {

struct YamlLine {
  size_t indent = 0;
  std::string text;
  std::string comment;     // behind the text, without "# "
  bool is_remark = false;  // the text is a comment itself, without "# "
  bool commented = false;  // the line is out of use
};
using YamlLines = std::vector<YamlLine>;

// A plain or double-quoted scalar that reads back as `text`, ${ included.
std::string yaml_scalar(std::string_view text);
// "[a, b]"
std::string yaml_list(const Texts& texts);

// Makes the lines of one element of a list: "- " before the first that is in use.
void make_list_item(YamlLines* lines);
bool has_live_line(const YamlLines& lines, size_t from);
// Puts a block that begins at `indent` out of use as a whole.
void comment_out(YamlLines* lines, size_t indent);
void append(YamlLines lines, YamlLines* to);
std::string to_text(const YamlLines& lines);

}  // namespace sluice::config
