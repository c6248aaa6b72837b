// The command line: each group of verbs adds its subcommands to the parser.
//
// Exit codes: 0 done, 1 the thing asked about is not well, 2 usage. Every mistake names its cause
// and what to do. Thread: the main one, before there are others.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace sluice::server {

inline constexpr int kDone = 0;
inline constexpr int kNotWell = 1;
inline constexpr int kUsage = 2;

// What was asked for; the parser sets it, main runs it.
using Action = std::function<int()>;

void add_serve(CLI::App& app, Action& action);   // serve
void add_check(CLI::App& app, Action& action);   // check
void add_texts(CLI::App& app, Action& action);   // reference, schema, version
void add_status(CLI::App& app, Action& action);  // status, top
void add_verbs(CLI::App& app, Action& action);   // reload, drain, undrain, disable, enable, weight
void add_cache(CLI::App& app, Action& action);   // purge, cache get

// The whole program.
int run_cli(int argc, const char* const* argv);

// "sluice: text" on stderr; returns `code`.
int complain(std::string_view text, int code);

// Whether to colour what goes to this descriptor: a terminal, and NO_COLOR not set.
bool wants_color(int fd);

// The answer of the admin API in JSON, as the table that people see. Pure.
std::string status_table(const std::string& status_json, bool color);
// What `cache get` prints of the answer of the admin API. Pure.
std::string cache_table(const std::string& answer_json);
// The last line of `purge`, from the answer. Pure.
std::string purge_line(const std::string& answer_json);
// Columns in one width each, numbers to the right; the first line is the heading.
std::string align(const std::vector<std::vector<std::string>>& lines);
// What `top` shows: the table, and rates since the status `before` (may be empty). Pure.
std::string top_screen(const std::string& before, const std::string& now, double seconds);

}  // namespace sluice::server
