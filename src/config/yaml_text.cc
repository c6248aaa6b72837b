#include "sluice/config/yaml_text.h"

#include <algorithm>
#include <cstdio>

#include "sluice/base/strings.h"

namespace sluice::config {

namespace {

constexpr size_t kCommentColumn = 44;

bool is_plain(std::string_view text) {
  if (text.empty() || text == "~" || equals_ignore_case(text, "null")) return false;
  const char first = text.front();
  const bool starts_well = is_digit(first) || (first >= 'a' && first <= 'z') ||
                           (first >= 'A' && first <= 'Z') || first == '/' || first == '_';
  return starts_well && !text.ends_with(':') && std::ranges::all_of(text, [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  std::string_view("/_.:%+-=@").find(c) != std::string_view::npos;
         });
}

}  // namespace

std::string yaml_scalar(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n' || c == '\t') {
      out += c == '\n' ? "\\n" : "\\t";
    } else if ((c >= 0 && c < ' ') || c == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      if (c == '$' && text.substr(i + 1).starts_with('{')) out += '$';
      out += c;
    }
  }
  return out + '"';
}

std::string yaml_list(const Texts& texts) {
  std::string out = "[";
  for (const auto& [name, text] : texts) {
    if (out.size() > 1) out += ", ";
    out += yaml_scalar(text);
  }
  return out + "]";
}

void make_list_item(YamlLines* lines) {
  bool is_begun = false;
  for (YamlLine& line : *lines) {
    const bool in_use = !line.is_remark && !line.commented;
    if (in_use && !is_begun) {
      line.text.insert(0, "- ");
      is_begun = true;
    } else if (is_begun) {
      line.indent += 2;
    }
  }
}

bool has_live_line(const YamlLines& lines, size_t from) {
  for (size_t i = from; i < lines.size(); ++i) {
    if (!lines[i].is_remark && !lines[i].commented) return true;
  }
  return false;
}

void comment_out(YamlLines* lines, size_t indent) {
  if (!has_live_line(*lines, 0)) return;
  for (YamlLine& line : *lines) {
    const bool is_comment = line.is_remark || line.commented;
    line.text.insert(0, std::string(line.indent - indent, ' ') + (is_comment ? "# " : ""));
    line.indent = indent;
    line.commented = true;
    line.is_remark = false;
  }
}

void append(YamlLines lines, YamlLines* to) {
  for (YamlLine& line : lines) to->push_back(std::move(line));
}

std::string to_text(const YamlLines& lines) {
  std::string out;
  for (const YamlLine& line : lines) {
    std::string text(line.indent, ' ');
    if (line.is_remark || line.commented) text += "# ";
    text += line.text;
    if (!line.comment.empty()) {
      if (text.size() < kCommentColumn) text.resize(kCommentColumn, ' ');
      text += "  # " + line.comment;
    }
    out += text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

}  // namespace sluice::config
