// The only place that knows yaml-cpp, its exceptions included.
#include "sluice/config/load.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <set>
#include <sstream>

#include "sluice/config/reader.h"
#include "sluice/config/values.h"

namespace sluice::config {

namespace {

constexpr size_t kMaxFileBytes = 4 * 1024 * 1024;
constexpr size_t kMaxDepth = 32;
constexpr uint64_t kMaxNodes = 200'000;  // aliases written out

// A Mark that yaml-cpp does not know is -1.
Place place_of(uint32_t file, const YAML::Mark& mark) {
  return {file, static_cast<uint32_t>(std::max(mark.line, 0)) + 1,
          static_cast<uint32_t>(std::max(mark.column, 0)) + 1};
}

// Text that is fit for yaml-cpp, which would end at a 0x04 and guess at other encodings.

// The length of the UTF-8 sequence at the start of `text` (RFC 3629), 0 if it is none.
size_t utf8_length(std::string_view text) {
  const auto at = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto continues = [&](size_t i) { return (at(i) & 0xc0) == 0x80; };
  const unsigned lead = at(0), next = at(1);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const bool overlong = lead == 0xe0 && next < 0xa0, surrogate = lead == 0xed && next > 0x9f;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool overlong = lead == 0xf0 && next < 0x90, beyond = lead == 0xf4 && next > 0x8f;
    return continues(1) && continues(2) && continues(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

// The offset of the first byte that cannot stand in a file, and why; nullptr: all is well.
std::pair<size_t, const char*> unfit_byte(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < ' ' && c != '\n' && c != '\r' && c != '\t') || c == 0x7f) {
      return {i, "a control character cannot stand in a file"};
    }
    const size_t length = utf8_length(text.substr(i));
    if (length == 0) return {i, "not UTF-8"};
    i += length;
  }
  return {0, nullptr};
}

// Nodes from yaml-cpp's events.

struct YamlFault {
  Place place;
  Fault fault;
};

class NodeBuilder : public YAML::EventHandler {
 public:
  NodeBuilder(const Report& report, uint32_t file) : report_(report), file_(file) {}

  NodePtr root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (root_)
      fail(place_of(file_, mark),
           "the file ends before this: a second document, or less "
           "indentation than what it belongs to");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(make(mark, {}, YamlNode::Kind::kNull), anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    std::shared_ptr<YamlNode> node = make(mark, tag, YamlNode::Kind::kScalar);
    check_closed_quote(node->place);
    node->text = value;
    add(std::move(node), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) fail(place_of(file_, mark), "an alias within its own anchor");
    check_place(place_of(file_, mark));
    add(found->second, 0);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(make(mark, tag, YamlNode::Kind::kList), anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(make(mark, tag, YamlNode::Kind::kMap), anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

  // A tab in the indentation of a line: yaml-cpp takes some and says odd things about others.
  void check_place(Place place) const {
    const std::string_view line = report_.line(file_, place.line);
    const size_t indentation = std::min(line.find_first_not_of(" \t"), line.size());
    const size_t tab = line.substr(0, indentation).find('\t');
    if (tab == std::string_view::npos || place.column <= tab) return;
    throw YamlFault{{file_, place.line, static_cast<uint32_t>(tab) + 1},
                    {"syntax", "a tab in the indentation", "YAML is indented with spaces only"}};
  }

 private:
  struct Open {
    std::shared_ptr<YamlNode> node;
    YAML::anchor_t anchor = 0;
    NodePtr key;  // kMap: the key that waits for its value
  };

  [[noreturn]] static void fail(Place place, std::string message, std::string hint = {}) {
    throw YamlFault{place, {"syntax", std::move(message), std::move(hint)}};
  }

  std::shared_ptr<YamlNode> make(const YAML::Mark& mark, const std::string& tag,
                                 YamlNode::Kind kind) const {
    auto node = std::make_shared<YamlNode>();
    node->kind = kind;
    node->place = place_of(file_, mark);
    check_place(node->place);
    const bool is_plain =
        tag.empty() || tag == "?" || tag == "!" || tag.starts_with("tag:yaml.org,2002:");
    if (!is_plain) fail(node->place, "the tag " + quoted(tag) + " means nothing here");
    return node;
  }

  void open(std::shared_ptr<YamlNode> node, YAML::anchor_t anchor) {
    if (open_.size() >= kMaxDepth) fail(node->place, "nested too deeply");
    open_.push_back({std::move(node), anchor, nullptr});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    if (done.key) fail(done.key->place, "a key without a value");
    add(std::move(done.node), done.anchor);
  }

  void add(NodePtr node, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    parent.node->weight += node->weight;
    if (parent.node->weight > kMaxNodes)
      fail(node->place, "too large with its aliases written out");
    if (parent.node->kind == YamlNode::Kind::kList) {
      parent.node->items.push_back(std::move(node));
    } else if (!parent.key) {
      check_key(*node);
      parent.key = std::move(node);
    } else {
      parent.node->entries.push_back({parent.key->text, parent.key->place, std::move(node)});
      parent.key = nullptr;
    }
  }

  static void check_key(const YamlNode& key) {
    if (key.kind != YamlNode::Kind::kScalar || key.text.empty()) {
      fail(key.place, "a key has to be a word",
           "put quotes around a value that starts with { or [");
    }
    if (key.text == "<<") {
      fail(key.place, "merge keys (<<) are not supported",
           "repeat the keys, or share whole values by an alias");
    }
  }

  // yaml-cpp takes a quoted text that never ends.
  void check_closed_quote(Place place) const {
    const Report::File& file = report_.file(file_);
    if (place.line > file.line_starts.size()) return;
    std::string_view text = std::string_view(file.text);
    text.remove_prefix(std::min(file.line_starts[place.line - 1] + place.column - 1, text.size()));
    while (text.starts_with('&') || text.starts_with('!')) {  // its anchor and tag
      text.remove_prefix(std::min(text.find_first_of(" \t\r\n"), text.size()));
      text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    }
    if (text.empty() || (text[0] != '"' && text[0] != '\'')) return;
    const char quote = text[0];
    for (size_t i = 1; i < text.size(); ++i) {
      if (quote == '"' && text[i] == '\\')
        ++i;
      else if (text[i] == quote)
        return;  // the first half of '' will do too
    }
    fail(place, "the quoted text never ends");
  }

  const Report& report_;
  const uint32_t file_;
  NodePtr root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, NodePtr> anchors_;
};

std::string syntax_hint(std::string_view line, const std::string& message) {
  if (message.find("flow") != std::string::npos && line.find("${") != std::string_view::npos) {
    return "put quotes around a value with ${...} inside { } or [ ]";
  }
  if (message.find("end of map") != std::string::npos ||
      message.find("illegal map value") != std::string::npos) {
    return "look at the indentation, and put quotes around a value with \": \" or quotes in it";
  }
  if (message.find("flow") != std::string::npos) return "look for a missing ] or } or comma";
  if (message == "unknown token") return "put quotes around a value that starts with @, %, ` or |";
  return {};
}

// nullptr for an empty file, and after a fault, which is then the only diagnostic.
NodePtr parse_yaml(uint32_t index, Report& report) {
  const Report::File& file = report.file(index);
  NodeBuilder builder(report, index);
  try {
    std::istringstream stream(file.text);
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(builder)) parser.HandleNextDocument(builder);
    return builder.root();
  } catch (const YamlFault& fault) {
    report.only_error(fault.place, fault.fault);
  } catch (const YAML::Exception& exception) {
    Place place = place_of(index, exception.mark);
    try {
      builder.check_place({index, place.line, UINT32_MAX});
      report.only_error(place, {"syntax", exception.msg,
                                syntax_hint(report.line(index, place.line), exception.msg)});
    } catch (const YamlFault& tab) {
      report.only_error(tab.place, tab.fault);
    }
  }
  return nullptr;
}

// Files.

// Returns an errno.
int read_file(const std::string& path, std::string* text) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  struct stat about {};
  int error = fstat(fd, &about) < 0 ? errno : S_ISDIR(about.st_mode) ? EISDIR : 0;
  char buffer[16 * 1024];
  while (error == 0) {
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error = errno;
    if (got > 0) text->append(buffer, static_cast<size_t>(got));
    if (text->size() > kMaxFileBytes) error = EFBIG;
  }
  close(fd);
  return error;
}

std::string real_path(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  std::string real = resolved == nullptr ? path : resolved;
  std::free(resolved);
  return real;
}

// Sorted by bytes, whatever the locale; empty if nothing matches.
std::vector<std::string> files_matching(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  globfree(&found);
  std::ranges::sort(paths);
  return paths;
}

std::optional<std::string> process_env(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

// One load.

class Loader {
 public:
  explicit Loader(const LoadOptions& options)
      : env_(options.env ? options.env : process_env),
        accept_unsupported_(options.accept_unsupported) {}

  LoadResult load(const std::string& name, std::optional<std::string> text);

 private:
  NodePtr read_tree(const std::string& name, std::optional<std::string> text, Place from);
  NodePtr with_includes(const NodePtr& root);
  void include(const Entry& entry, YamlNode* into);
  void include_pattern(const YamlNode& pattern, const std::string& path, YamlNode* into);
  void include_file(const std::string& name, Place from, const std::string& path, YamlNode* into);

  const EnvLookup env_;
  const bool accept_unsupported_;
  Report report_;
  bool has_syntax_error_ = false;
  std::map<std::string, Place> included_;  // by real path: from where
  std::set<std::string> open_files_;       // those whose includes are being read
};

// Lists of two files are appended, their maps merged; anything else is left for the reader to call
// a duplicate, with both places.
void merge(const Entry& entry, YamlNode* into) {
  for (Entry& there : into->entries) {
    if (there.key != entry.key || there.value->kind != entry.value->kind) continue;
    auto both = std::make_shared<YamlNode>(*there.value);
    if (both->kind != YamlNode::Kind::kList && both->kind != YamlNode::Kind::kMap) continue;
    both->items.insert(both->items.end(), entry.value->items.begin(), entry.value->items.end());
    both->entries.insert(both->entries.end(), entry.value->entries.begin(),
                         entry.value->entries.end());
    there.value = std::move(both);
    return;
  }
  into->entries.push_back(entry);
}

LoadResult Loader::load(const std::string& name, std::optional<std::string> text) {
  LoadResult result;
  const NodePtr root = read_tree(name, std::move(text), {});
  if (root != nullptr && !has_syntax_error_) {
    Config config;
    config.files = report_.file_names();
    read_config(root, {report_, result.origins, env_, accept_unsupported_}, &config);
    if (!report_.has_errors()) result.config = std::move(config);
  } else if (!report_.has_errors()) {
    report_.error({0, 1, 1}, {},
                  {"empty_value", "the file is empty", "it needs listeners and pools"});
  }
  result.diagnostics = report_.take();
  return result;
}

// nullptr: empty, unreadable or broken.
NodePtr Loader::read_tree(const std::string& name, std::optional<std::string> text, Place from) {
  std::string read;
  const int error = text ? 0 : read_file(name, &read);
  if (text) read = *std::move(text);
  if (read.starts_with("\xef\xbb\xbf")) read.erase(0, 3);  // a byte order mark
  const auto [offset, unfit] = unfit_byte(read);
  const uint32_t index = report_.add_file(name, error == 0 ? std::move(read) : std::string(), from);
  if (error != 0) {
    const std::string why = std::strerror(error);
    report_.error({index, 0, 0}, {}, {"unreadable", "cannot read the file: " + why, {}});
    return nullptr;
  }
  if (unfit != nullptr) {
    const std::vector<size_t>& starts = report_.file(index).line_starts;
    const auto line =
        static_cast<size_t>(std::ranges::upper_bound(starts, offset) - starts.begin());
    report_.only_error(
        {index, static_cast<uint32_t>(line), static_cast<uint32_t>(offset - starts[line - 1]) + 1},
        {"syntax", unfit, {}});
    has_syntax_error_ = true;
    return nullptr;
  }
  const size_t errors_before = report_.errors();
  NodePtr root = parse_yaml(index, report_);
  has_syntax_error_ = report_.errors() > errors_before;
  if (has_syntax_error_ || root == nullptr || root->kind != YamlNode::Kind::kMap) return root;
  const std::string real = real_path(name);
  included_.emplace(real, from);
  open_files_.insert(real);
  NodePtr whole = with_includes(root);
  open_files_.erase(real);
  return whole;
}

NodePtr Loader::with_includes(const NodePtr& root) {
  auto whole = std::make_shared<YamlNode>();
  whole->kind = YamlNode::Kind::kMap;
  whole->place = root->place;
  std::set<std::string_view> seen;
  for (const Entry& entry : root->entries) {
    const bool is_new = seen.insert(entry.key).second;
    if (entry.key == "include" && is_new) include(entry, whole.get());
    if (entry.key == "include" && is_new) continue;
    if (is_new) {
      merge(entry, whole.get());
    } else {
      whole->entries.push_back(entry);
    }
    if (has_syntax_error_) break;
  }
  return whole;
}

void Loader::include(const Entry& entry, YamlNode* into) {
  const YamlNode& value = *entry.value;
  if (value.kind == YamlNode::Kind::kScalar) return include_pattern(value, "include", into);
  if (value.kind != YamlNode::Kind::kList) {
    report_.error(entry.key_place, "include",
                  {"wrong_type", "expected a file, a pattern or a list of them", {}});
    return;
  }
  for (size_t i = 0; i < value.items.size() && !has_syntax_error_; ++i) {
    const std::string path = "include[" + std::to_string(i) + "]";
    if (value.items[i]->kind == YamlNode::Kind::kScalar) {
      include_pattern(*value.items[i], path, into);
    } else {
      report_.error(value.items[i]->place, path,
                    {"wrong_type", "expected a file or a pattern", {}});
    }
  }
}

void Loader::include_pattern(const YamlNode& pattern, const std::string& path, YamlNode* into) {
  std::string name;
  std::vector<std::string> used;
  Fault fault = expand_env(pattern.text, env_, &name, &used);
  if (!fault && name.empty()) fault = {"empty_value", "empty value", {}};
  if (fault) return report_.error(pattern.place, path, std::move(fault));
  if (!name.starts_with('/')) name.insert(0, report_.folder(pattern.place.file));
  if (name.find_first_of("*?[") == std::string::npos)
    return include_file(name, pattern.place, path, into);
  for (const std::string& match : files_matching(name)) {
    include_file(match, pattern.place, path, into);
    if (has_syntax_error_) return;
  }
}

void Loader::include_file(const std::string& name, Place from, const std::string& path,
                          YamlNode* into) {
  const std::string real = real_path(name);
  if (const auto there = included_.find(real); there != included_.end()) {
    const bool is_cycle = open_files_.contains(real);
    const std::string first =
        there->second.line == 0 ? std::string() : "; first by " + report_.where(there->second);
    const std::string why =
        is_cycle ? "it is being read already, this would never end" : "included twice" + first;
    return report_.error(
        from, path,
        {is_cycle ? "include_cycle" : "duplicate_include", quoted(name) + ": " + why, {}});
  }
  if (access(name.c_str(), R_OK) != 0) {
    const std::string why = std::strerror(errno);
    return report_.error(from, path, {"unreadable", quoted(name) + ": cannot read it: " + why, {}});
  }
  const NodePtr root = read_tree(name, std::nullopt, from);
  if (root == nullptr || has_syntax_error_) return;
  if (root->kind != YamlNode::Kind::kMap) {
    if (root->kind == YamlNode::Kind::kNull) return;
    return report_.error(root->place, {},
                         {"wrong_type", "an included file has to be a map of keys", {}});
  }
  for (const Entry& entry : root->entries) merge(entry, into);
}

}  // namespace

LoadResult load_file(const std::string& path, const LoadOptions& options) {
  return Loader(options).load(path, std::nullopt);
}

LoadResult load_text(std::string text, const std::string& name, const LoadOptions& options) {
  return Loader(options).load(name, std::move(text));
}

}  // namespace sluice::config
