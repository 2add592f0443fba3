// The conversation behind `nereus run`: session, settings and /commands, without model or terminal.

#include "apps/chat_session.h"

#include <gtest/gtest.h>

#include "apps/chat_commands.h"
#include "tests/support/scratch.h"

namespace nereus {
namespace {

std::string command(ChatSession& session, const std::string& line) {
    return run_chat_command(line, session, {}).text;
}

ChatSession two_turns() {
    ChatSession session;
    session.add_user("one");
    session.add_answer("because", "first");
    session.add_user("two");
    session.add_answer("", "second");
    return session;
}

std::string roles(const ChatSession& session) {
    std::string text;
    for (const Json& message : session.request().messages) {
        text += message["role"].get<std::string>()[0];
    }
    return text;
}

TEST(ChatSession, renders_system_and_turns_with_reasoning_apart) {
    ChatSession session = two_turns();
    session.set_system("be brief");
    const ChatRequest request = session.request();
    EXPECT_EQ(roles(session), "suaua");
    EXPECT_EQ(request.messages[2]["content"], "first");
    EXPECT_EQ(request.messages[2]["reasoning_content"], "because");
    EXPECT_FALSE(request.messages[4].contains("reasoning_content"));
    EXPECT_TRUE(*request.thinking);
    session.settings.think = ThinkMode::kOff;
    EXPECT_FALSE(*session.request().thinking);
}

TEST(ChatSession, undo_takes_a_whole_turn_and_regen_only_the_answer) {
    ChatSession session = two_turns();
    EXPECT_TRUE(session.drop_answer());
    EXPECT_EQ(roles(session), "uau");
    EXPECT_FALSE(session.drop_answer());
    EXPECT_TRUE(session.undo());
    EXPECT_EQ(roles(session), "ua");
    EXPECT_TRUE(session.undo());
    EXPECT_FALSE(session.undo());
}

TEST(ChatSession, every_regen_draws_with_another_seed) {
    ChatSession session = two_turns();
    session.settings.sampling.seed = 40;
    EXPECT_EQ(session.sampling().seed, 40U);
    session.drop_answer();
    EXPECT_EQ(session.sampling().seed, 41U);
    session.add_answer("", "again");
    session.add_user("three");
    EXPECT_EQ(session.sampling().seed, 40U);
}

TEST(ChatSession, is_the_same_after_json) {
    ChatSession session = two_turns();
    session.set_system("be brief");
    session.settings.sampling.temperature = 0.6F;
    session.settings.sampling.seed = 1234567890123;
    session.settings.think = ThinkMode::kHide;
    const Json json = session.to_json();
    const auto again = ChatSession::from_json(json, "x");
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(again->to_json(), json);
    EXPECT_EQ(json["settings"]["temperature"], 0.6);
}

TEST(ChatSession, broken_files_are_refused_by_name) {
    const auto message = [](const char* text) {
        const auto session = ChatSession::from_json(parse_json(text, "t").value(), "f.json");
        return session.ok() ? "" : session.error().message;
    };
    const std::string head = R"({"kind":"nereus-chat","version":1,)";
    EXPECT_NE(message("[]").find("not a saved chat"), std::string::npos);
    EXPECT_NE(message("{}").find("not a saved chat"), std::string::npos);
    EXPECT_NE(message(R"({"kind":"nereus-chat","version":9})").find("version 9"),
              std::string::npos);
    EXPECT_EQ(message((head + R"("messages":3})").c_str()),
              "f.json: messages: expected an array, found number");
    EXPECT_EQ(message((head + R"("messages":[{"role":"assistant","content":"x"}]})").c_str()),
              "f.json: messages[0]: expected role user, found \"assistant\"");
    EXPECT_EQ(message((head + R"("messages":[{"role":"user","content":5}]})").c_str()),
              "f.json: messages[0]: content: expected a string, found number");
    EXPECT_NE(message((head + R"("messages":[],"settings":{"top_p":7}})").c_str()).find("top_p"),
              std::string::npos);
    EXPECT_NE(message((head + R"("messages":[],"settings":{"x":7}})").c_str()).find("x is unknown"),
              std::string::npos);
    EXPECT_EQ(message((head + R"("messages":[]})").c_str()), "");
}

TEST(ChatSettings, are_checked_one_by_one) {
    ChatSettings settings;
    EXPECT_TRUE(change_setting(settings, "temperature", "0.25").ok());
    EXPECT_EQ(settings.sampling.temperature, 0.25F);
    for (const auto& [name, value] :
         std::vector<std::pair<const char*, const char*>>{{"temperature", "-1"},
                                                          {"temperature", "hot"},
                                                          {"top_k", "1.5"},
                                                          {"top_k", "-2"},
                                                          {"seed", "1e300"},
                                                          {"max_tokens", "-1"},
                                                          {"top_p", "nan"},
                                                          {"top_p", ""}}) {
        EXPECT_FALSE(change_setting(settings, name, value).ok()) << name << " " << value;
    }
    EXPECT_NE(change_setting(settings, "warmth", "1").error().message.find("temperature, top_k"),
              std::string::npos);
    EXPECT_EQ(settings.sampling.temperature, 0.25F);
}

TEST(ChatCommands, what_is_a_command_and_what_is_a_question) {
    for (const char* line : {"/help", "/x", "/set temperature 1", "/load /tmp/x"}) {
        EXPECT_TRUE(is_chat_command(line)) << line;
    }
    for (const char* line : {"/", "/ help", "what is /help", "/etc/hosts is what?", "//x", "/1"}) {
        EXPECT_FALSE(is_chat_command(line)) << line;
    }
}

TEST(ChatCommands, change_the_session_and_say_so) {
    ChatSession session = two_turns();
    EXPECT_EQ(command(session, "/think hide"), "think hide");
    EXPECT_EQ(session.settings.think, ThinkMode::kHide);
    EXPECT_EQ(command(session, "/set top_k 5"), "top_k = 5");
    EXPECT_NE(command(session, "/set").find("top_k               5"), std::string::npos);
    command(session, "/system You are  kind.");
    EXPECT_EQ(session.system(), "You are  kind.");
    EXPECT_EQ(command(session, "/system"), "You are  kind.");
    command(session, "/system none");
    EXPECT_EQ(session.system(), "");
    EXPECT_EQ(run_chat_command("/regen", session, {}).after, AfterCommand::kAnswer);
    command(session, "/clear");
    EXPECT_EQ(session.n_messages(), 0U);
    EXPECT_TRUE(run_chat_command("/regen", session, {}).failed);
    EXPECT_TRUE(run_chat_command("/undo", session, {}).failed);
    EXPECT_EQ(run_chat_command("/bye", session, {}).after, AfterCommand::kLeave);
}

TEST(ChatCommands, an_unknown_one_is_answered_with_the_list) {
    ChatSession session;
    const CommandReply reply = run_chat_command("/quit now", session, {});
    EXPECT_TRUE(reply.failed);
    EXPECT_EQ(reply.text.substr(0, 35), "There is no /quit. There are /help ");
    EXPECT_NE(command(session, "/help").find("/regen"), std::string::npos);
}

TEST(ChatCommands, save_and_load_keep_the_conversation_and_fail_cleanly) {
    const std::string path = scratch_folder() / "session.json";
    ChatSession session = two_turns();
    EXPECT_EQ(command(session, "/save " + path), "Saved 4 messages to " + path + ".");
    ChatSession other;
    EXPECT_EQ(command(other, "/load " + path), "Loaded 4 messages from " + path + ".");
    EXPECT_EQ(other.to_json(), session.to_json());
    std::ofstream(path) << "{\"kind\":";
    EXPECT_TRUE(run_chat_command("/load " + path, other, {}).failed);
    EXPECT_TRUE(run_chat_command("/load /no/such", other, {}).failed);
    EXPECT_TRUE(run_chat_command("/save /no/such/folder/x", other, {}).failed);
    EXPECT_TRUE(run_chat_command("/save", other, {}).failed);
    EXPECT_EQ(other.n_messages(), 4U);
}

TEST(ChatCommands, complete_names_and_arguments) {
    EXPECT_EQ(complete_chat_command("/cl"), std::vector<std::string>{"/clear"});
    EXPECT_EQ(complete_chat_command("/think o"),
              (std::vector<std::string>{"/think on", "/think off"}));
    EXPECT_EQ(complete_chat_command("/set rep"),
              std::vector<std::string>{"/set repetition_penalty"});
    EXPECT_TRUE(complete_chat_command("").empty());
    EXPECT_TRUE(complete_chat_command("hello").empty());
}

}  // namespace
}  // namespace nereus
