// The file as YAML: syntax, variables, includes.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/config/config_testing.h"

namespace sluice::config {

namespace {

// A folder of files that goes away with the test.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/sluice-config-XXXXXX";
    path_ = std::string(mkdtemp(name)) + "/";
  }
  ~Folder() { std::filesystem::remove_all(path_); }

  std::string write(const std::string& name, std::string_view text) const {
    std::filesystem::create_directories(std::filesystem::path(path_ + name).parent_path());
    std::ofstream(path_ + name) << text;
    return path_ + name;
  }
  LoadResult load(const std::string& name = "t.yaml") const { return load_file(path_ + name); }
  // heads() without the folder.
  std::vector<std::string> heads_of(const LoadResult& result) const {
    std::vector<std::string> lines = heads(result);
    for (std::string& line : lines) line = without_folder(line);
    return lines;
  }
  std::string without_folder(std::string text) const {
    for (size_t at; (at = text.find(path_)) != std::string::npos;) text.erase(at, path_.size());
    return text;
  }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("config/yaml: after a syntax error there is only that one, with a place") {
  const struct {
    std::string_view text, message, hint;
  } cases[] = {
      {"", "t.yaml:1:1: error: the file is empty", "it needs listeners and pools"},
      {"# nothing\n", "t.yaml:1:1: error: the file is empty", "it needs listeners and pools"},
      {"x", "t.yaml:1:1: error: expected a map of keys, found a text", ""},
      {"- x", "t.yaml:1:1: error: expected a map of keys, found a list", ""},
      {"foo: 1\nadmin:\n\tbind: 1\n", "t.yaml:3:1: error: a tab in the indentation",
       "YAML is indented with spaces only"},
      {"admin:\n  bind: 1\n\tx: 2\n", "t.yaml:3:1: error: a tab in the indentation",
       "YAML is indented with spaces only"},
      {"routes: [\n\tx]\n", "t.yaml:2:1: error: a tab in the indentation",
       "YAML is indented with spaces only"},
      {"routes: [a, b\nadmin: x\n", "t.yaml:2:6: error: end of sequence flow not found",
       "look for a missing ] or } or comma"},
      {"admin: {bind: ${X:-y}}\n", "t.yaml:1:16: error: end of map flow not found",
       "put quotes around a value with ${...} inside { } or [ ]"},
      {"a: b: c\n", "t.yaml:1:5: error: illegal map value",
       "look at the indentation, and put quotes around a value with \": \" or quotes in it"},
      {"a: \"x\nb: y\n", "t.yaml:1:4: error: the quoted text never ends", ""},
      {"a: &x 'x\n", "t.yaml:1:4: error: the quoted text never ends", ""},
      {"a: @x\n", "t.yaml:1:4: error: unknown token",
       "put quotes around a value that starts with @, %, ` or |"},
      {"a: *x\n", "t.yaml:1:4: error: the referenced anchor is not defined", ""},
      {"a: &x [*x]\n", "t.yaml:1:8: error: an alias within its own anchor", ""},
      {"<<: {a: b}\n", "t.yaml:1:1: error: merge keys (<<) are not supported",
       "repeat the keys, or share whole values by an alias"},
      {"[a]: b\n", "t.yaml:1:1: error: a key has to be a word",
       "put quotes around a value that starts with { or ["},
      {"a: !secret x\n", "t.yaml:1:4: error: the tag \"!secret\" means nothing here", ""},
      {"a: 1\n---\nb: 1\n",
       "t.yaml:2:1: error: the file ends before this: a second document, or less indentation than "
       "what it belongs to",
       ""},
      {"a: \xff\n", "t.yaml:1:4: error: not UTF-8", ""},
      {"a: 1\nb: \x04\n", "t.yaml:2:4: error: a control character cannot stand in a file", ""},
  };
  for (const auto& each : cases) {
    CAPTURE(each.text);
    const LoadResult result = load(each.text);
    REQUIRE(result.diagnostics.size() == 1);
    CHECK(heads(result)[0] == each.message);
    CHECK(result.diagnostics[0].hint == each.hint);
    CHECK_FALSE(result.ok());
  }
}

TEST_CASE("config/yaml: tabs elsewhere, block texts, byte order marks and CRLF are fine") {
  const LoadResult result =
      load("\xef\xbb\xbf" + std::string(kListener) + std::string(kPool) +
           "routes:\r\n  - match:\t{path: /}\r\n    respond:\r\n      body: |\r\n"
           "        a\r\n        \tb\r\n");
  REQUIRE(result.ok());
  CHECK(result.config->routes[0].respond.body == "a\n\tb\n");
}

TEST_CASE("config/yaml: anchors and aliases work, bombs do not") {
  const LoadResult shared =
      load(std::string(kListener) +
           "pools:\n  a: {endpoints: [{address: \"a:1\"}], timeouts: &t {connect: 5s}}\n"
           "  b: {endpoints: [{address: \"b:1\"}], timeouts: *t}\n"
           "routes: [{match: {path: /a}, pool: a}, {pool: b}]\n");
  REQUIRE(shared.ok());
  CHECK(shared.config->pools[1].timeouts.connect == std::chrono::seconds(5));

  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += (j == 0 ? "" : ", ") + below;
    bomb += "]\n";
  }
  const LoadResult result = load(bomb);
  REQUIRE(result.diagnostics.size() == 1);
  CHECK(result.diagnostics[0].message == "too large with its aliases written out");

  CHECK(load("a: " + std::string(40, '[') + std::string(40, ']')).diagnostics[0].message ==
        "nested too deeply");
  CHECK_FALSE(load("a: " + std::string(100'000, '[')).ok());
}

TEST_CASE("config/yaml: the caret stands below its character, also behind tabs and wide text") {
  const LoadResult result =
      load(std::string(kListener) + std::string(kPool) + "admin: {\tbind: \"é\", foo: 1}\n");
  REQUIRE(result.diagnostics.size() == 2);
  CHECK(format_text(result.diagnostics[1]) ==
        "t.yaml:3:22: error: admin.foo: unknown key\n"
        "admin: {\tbind: \"é\", foo: 1}\n"
        "        \t           ^\n"
        "hint: keys here: bind\n");
}

TEST_CASE("config/yaml: long lines are cut and control characters stay out of the terminal") {
  const LoadResult result =
      load(std::string(kListener) + std::string(kPool) + "access_log: {path: \"" +
           std::string(500, 'x') + "\", format: nope}\n");
  REQUIRE(result.diagnostics.size() == 1);
  CHECK(result.diagnostics[0].source.size() <= 160);
  CHECK(result.diagnostics[0].source.substr(result.diagnostics[0].caret, 4) == "nope");
  CHECK(heads(load(std::string(kListener) + std::string(kPool) + "\"\\x1b[31m\": 1\n"))[0] ==
        "t.yaml:3:1: error: ?[31m: unknown key");
}

TEST_CASE("config/yaml: ${NAME} in values") {
  const std::string base = std::string(kListener) + std::string(kPool) + "access_log: {path: ";
  const auto path_of = [&](const std::string& value) {
    const LoadResult result =
        load(base + "\"" + value + "\"}\n", {{"A", "stdout"}, {"EMPTY", ""}, {"P", "x"}});
    return result.ok() ? result.config->access_log.path : heads(result)[0];
  };
  CHECK(path_of("${A}") == "stdout");
  CHECK(path_of("${A:-stderr}") == "stdout");
  CHECK(path_of("${NOPE:-stderr}") == "stderr");
  CHECK(path_of("${EMPTY:-stderr}") == "stderr");
  CHECK(path_of("/a/${P}/${P}y") == "/a/x/xy");
  CHECK(path_of("/$${P}") == "/${P}");
  CHECK(path_of("/$P") == "/$P");
  CHECK(path_of("${NOPE}") ==
        "t.yaml:3:20: error: access_log.path: the environment variable NOPE is not set");
  CHECK(path_of("${EMPTY}") == "t.yaml:3:20: error: access_log.path: empty value");
  CHECK(path_of("${A") == "t.yaml:3:20: error: access_log.path: ${ without }");
  CHECK(path_of("${1A}") == "t.yaml:3:20: error: access_log.path: \"${1A}\" names no variable");
  // What a variable holds is a value and never YAML.
  CHECK(load(base + "${A}}\n", {{"A", "stdout"}}).ok() == false);
  const LoadResult injected =
      load(std::string(kListener) + std::string(kPool) + "drain_timeout: ${T}\n",
           {{"T", "1s\nworkers: 3"}});
  REQUIRE(injected.diagnostics.size() == 1);
  CHECK(injected.diagnostics[0].path == "drain_timeout");
}

TEST_CASE("config/yaml: includes are taken in where they stand, in sorted order") {
  const Folder folder;
  folder.write("t.yaml", std::string(kListener) +
                             "routes: [{match: {path: /1}, pool: a}]\ninclude: conf.d/*.yaml\n");
  folder.write(
      "conf.d/20.yaml",
      "routes: [{match: {path: /3}, pool: b}]\npools: {b: {endpoints: [{address: \"b:1\"}]}}\n");
  folder.write("conf.d/10.yaml",
               "routes: [{match: {path: /2}, pool: a}]\npools: {a: {endpoints: [{address: "
               "\"unix:a.sock\"}]}}\n");
  folder.write("conf.d/30.yaml", "# nothing\n");
  const LoadResult result = folder.load();
  REQUIRE(result.diagnostics.empty());
  REQUIRE(result.config->routes.size() == 3);
  CHECK(result.config->routes[0].match.path == "/1");
  CHECK(result.config->routes[1].match.path == "/2");
  CHECK(result.config->routes[2].match.path == "/3");
  CHECK(folder.without_folder(result.config->pools[0].endpoints[0].address.text()) ==
        "unix:conf.d/a.sock");
  CHECK(folder.without_folder(result.config->where(result.config->routes[2].place)) ==
        "conf.d/20.yaml:1");
  CHECK(result.config->files.size() == 4);
}

TEST_CASE("config/yaml: diagnostics in an include name the chain") {
  const Folder folder;
  folder.write("t.yaml", std::string(kListener) + std::string(kPool) + "include: [a.yaml]\n");
  folder.write("a.yaml", "\ninclude: sub/b.yaml\n");
  folder.write("sub/b.yaml", "drain_timeout: 1\n");
  const LoadResult result = folder.load();
  CHECK(folder.without_folder(format_text(result.diagnostics)) ==
        "sub/b.yaml:1:16: error: drain_timeout: \"1\" has no unit (units: us, ms, s, m, h, d; from "
        "1ms to 1d, or 0 "
        "for off)\n"
        "drain_timeout: 1\n"
        "               ^\n"
        "hint: did you mean \"1s\"?\n"
        "included from a.yaml:2\n"
        "included from t.yaml:3\n");
}

TEST_CASE("config/yaml: what can be wrong with includes") {
  const Folder folder;
  const std::string good = std::string(kListener) + std::string(kPool);
  folder.write("twice.yaml", "include: [x.yaml, x.yaml]\n" + good);
  folder.write("x.yaml", "workers: 2\n");
  folder.write("cycle.yaml", good + "include: cycle2.yaml\n");
  folder.write("cycle2.yaml", "include: cycle.yaml\n");
  folder.write("missing.yaml", good + "include: [none/*.yaml, none.yaml]\n");
  folder.write("taken.yaml", "workers: 1\n" + good + "include: x.yaml\n");
  folder.write("pool.yaml", good + "include: pool2.yaml\n");
  folder.write("pool2.yaml", "\n" + std::string(kPool));
  folder.write("list.yaml", good + "include: list2.yaml\n");
  folder.write("list2.yaml", "- a\n");
  folder.write("syntax.yaml", "foo: 1\ninclude: syntax2.yaml\n");
  folder.write("syntax2.yaml", "a: [\n");
  folder.write("shape.yaml", good + "include: {a: b}\n");
  const struct {
    std::string name, message;
  } cases[] = {
      {"twice.yaml",
       "twice.yaml:1:19: error: include[1]: \"x.yaml\": included twice; first by twice.yaml:1"},
      {"cycle.yaml",
       "cycle2.yaml:1:10: error: include: \"cycle.yaml\": it is being read already, this would "
       "never end"},
      {"missing.yaml",
       "missing.yaml:3:24: error: include[1]: \"none.yaml\": cannot read it: No such file or "
       "directory"},
      {"taken.yaml", "x.yaml:1:1: error: workers: duplicate key; first at taken.yaml:1"},
      {"pool.yaml", "pool2.yaml:2:9: error: pools.api: duplicate key; first at pool.yaml:2"},
      {"list.yaml", "list2.yaml:1:1: error: an included file has to be a map of keys"},
      {"syntax.yaml", "syntax2.yaml:2:1: error: end of sequence flow not found"},
      {"shape.yaml",
       "shape.yaml:3:1: error: include: expected a file, a pattern or a list of them"},
      {"nowhere.yaml", "nowhere.yaml: error: cannot read the file: No such file or directory"},
      {"", ": error: cannot read the file: Is a directory"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.name);
    const LoadResult result = folder.load(each.name);
    CHECK(folder.heads_of(result) == std::vector<std::string>{each.message});
    CHECK_FALSE(result.ok());
  }
}

}  // namespace sluice::config
