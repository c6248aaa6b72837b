// Fields of a message as rows, for the tests of what reads them.
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/http/message.h"

namespace sluice::http::test {

class FieldRows {
 public:
  FieldRows(std::initializer_list<std::pair<std::string_view, std::string_view>> rows) {
    for (const auto& [name, value] : rows) rows_.push_back({name, value, field_id(name)});
  }
  FieldList list() const { return FieldList(rows_); }
  operator FieldList() const { return list(); }

 private:
  std::vector<Field> rows_;
};

}  // namespace sluice::http::test
