// SPDX-License-Identifier: MIT
#include "redis/command.h"

#include "catch.h"

namespace qatime::backlog::redis::command_test {

TEST_CASE("A command is an array of bulk strings") {
  Command command{"SET", "a b"};
  CHECK(command.bytes() == "*2\r\n$3\r\nSET\r\n$3\r\na b\r\n");
  command.add(-12).add(std::string_view{"\r\n\0", 3}).add("");
  CHECK(command.words() == 5);
  constexpr char kExpected[] = "*5\r\n$3\r\nSET\r\n$3\r\na b\r\n$3\r\n-12\r\n$3\r\n\r\n\0\r\n$0\r\n\r\n";
  CHECK(command.bytes() == std::string_view{kExpected, sizeof kExpected - 1});
}

TEST_CASE("Commands are joined, however many words they have") {
  Command many{"ZADD"};
  for (int i = 0; i < 9; ++i) many.add(i);
  Command whole{"a"};
  CHECK(whole.append(many).words() == 11);
  CHECK(whole.bytes().starts_with("*11\r\n$1\r\na\r\n$4\r\nZADD\r\n$1\r\n0\r\n"));
  Command none{};
  CHECK(none.bytes() == "*0\r\n");
}

}  // namespace qatime::backlog::redis::command_test
