"""Unmodified Python clients against a running server. `cargo xtask test-clients` starts it and sets the variables."""

import asyncio
import json
import os
import subprocess
import time
import unittest
import urllib.request

import litellm
import openai
import openapi_spec_validator
from langchain_openai import ChatOpenAI

BASE = os.environ["AGENTTTS_BASE"]
KEY = os.environ["AGENTTTS_KEY"]
QUESTION = [{"role": "user", "content": "two and two\nanswer: 4"}]
SENTENCE = [{"role": "user", "content": "two and two\nanswer: it is four, or so they say"}]


def outcomes():
    request = urllib.request.Request(BASE + "/api/serving", headers={"Authorization": "Bearer " + KEY})
    plans = json.load(urllib.request.urlopen(request))["plans"]
    return plans[0]["traffic"]["requests"]


class OpenAi(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY, max_retries=0)

    def test_models(self):
        self.assertIn("clients", [m.id for m in self.client.models.list()])
        self.assertEqual(self.client.models.retrieve("clients@cheap").owned_by, "agenttts")

    def test_chat(self):
        reply = self.client.chat.completions.create(model="clients", messages=QUESTION, temperature=0.2, n=2)
        self.assertEqual([c.message.content for c in reply.choices], ["4", "4"])
        self.assertEqual(reply.choices[0].finish_reason, "stop")
        self.assertGreater(reply.usage.total_tokens, 0)
        self.assertEqual(reply.agenttts["without_effect"], ["temperature"])

    def test_chat_with_our_extension(self):
        extra = {"agenttts": {"trace": True, "limits": {"calls": 20}}}
        reply = self.client.chat.completions.create(model="clients@best", messages=QUESTION, extra_body=extra)
        self.assertEqual([s["stage"] for s in reply.agenttts["trace"][0]["stages"]], ["look", "answer"])

    def test_streaming(self):
        options = {"include_usage": True}
        stream = self.client.chat.completions.create(
            model="clients", messages=QUESTION, stream=True, stream_options=options
        )
        chunks = list(stream)
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        self.assertEqual(text, "4")
        self.assertGreater(chunks[-1].usage.total_tokens, 0)

    def test_streaming_word_by_word(self):
        whole = self.client.chat.completions.create(model="clients@cheap", messages=SENTENCE)
        self.assertTrue(self.client.models.retrieve("clients@cheap").agenttts["streams"])
        before = outcomes()["ok"]
        parts = []
        stream = self.client.chat.completions.create(model="clients@cheap", messages=SENTENCE, stream=True)
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                if not parts:
                    self.assertEqual(outcomes()["ok"], before, "the request is still under way")
                parts.append(chunk.choices[0].delta.content)
        self.assertEqual("".join(parts), whole.choices[0].message.content)
        self.assertGreater(len(parts), 3)

    def test_stream_helper(self):
        with self.client.chat.completions.stream(model="clients", messages=QUESTION) as stream:
            stream.until_done()
            self.assertEqual(stream.get_final_completion().choices[0].message.content, "4")

    def test_completions(self):
        reply = self.client.completions.create(model="clients", prompt="two and two\nanswer: 4")
        self.assertEqual(reply.choices[0].text, "4")
        stream = self.client.completions.create(model="clients@cheap", prompt=SENTENCE[0]["content"], stream=True)
        parts = [c.choices[0].text for c in stream if c.choices and c.choices[0].text]
        self.assertEqual("".join(parts), "it is four, or so they say")
        self.assertGreater(len(parts), 3)

    def test_errors(self):
        with self.assertRaises(openai.NotFoundError) as raised:
            self.client.chat.completions.create(model="client", messages=QUESTION)
        self.assertEqual(raised.exception.code, "model_not_found")
        self.assertIn('"clients"', raised.exception.message)
        with self.assertRaises(openai.BadRequestError) as raised:
            self.client.chat.completions.create(model="clients", messages=[])
        self.assertEqual(raised.exception.param, "messages")
        with self.assertRaises(openai.BadRequestError):
            self.client.chat.completions.create(model="clients", messages=QUESTION, n=-1)
        wrong = openai.OpenAI(base_url=BASE + "/v1", api_key="atts-wrong", max_retries=0)
        with self.assertRaises(openai.AuthenticationError):
            wrong.models.list()

    def test_error_in_mid_stream(self):
        extra = {"agenttts": {"limits": {"calls": 1}}}
        stream = self.client.chat.completions.create(model="clients", messages=QUESTION, stream=True, extra_body=extra)
        with self.assertRaises(openai.APIError) as raised:
            list(stream)
        self.assertEqual(raised.exception.code, "limit_exceeded")

    def test_timeout_gives_up_the_calls(self):
        before = outcomes().get("cancelled", 0)
        with self.assertRaises(openai.APITimeoutError):
            self.client.with_options(timeout=0.1).chat.completions.create(model="clients", messages=QUESTION)
        time.sleep(0.5)
        self.assertEqual(outcomes().get("cancelled", 0), before + 1)

    def test_cancelled_stream_gives_up_the_calls(self):
        before = outcomes().get("cancelled", 0)
        stream = self.client.chat.completions.create(model="clients", messages=QUESTION, stream=True)
        next(iter(stream))
        stream.close()
        time.sleep(0.5)
        self.assertEqual(outcomes().get("cancelled", 0), before + 1)

    def test_many_at_once(self):
        async def ask():
            client = openai.AsyncOpenAI(base_url=BASE + "/v1", api_key=KEY)
            create = client.chat.completions.create
            return await asyncio.gather(*(create(model="clients", messages=QUESTION) for _ in range(50)))

        self.assertEqual({r.choices[0].message.content for r in asyncio.run(ask())}, {"4"})


class Others(unittest.TestCase):
    def test_langchain(self):
        model = ChatOpenAI(model="clients", base_url=BASE + "/v1", api_key=KEY, temperature=0)
        self.assertEqual(model.invoke("two and two\nanswer: 4").content, "4")
        self.assertEqual("".join(c.content for c in model.stream("two and two\nanswer: 4")), "4")

    def test_litellm(self):
        call = dict(model="openai/clients", api_base=BASE + "/v1", api_key=KEY, messages=QUESTION)
        self.assertEqual(litellm.completion(**call).choices[0].message.content, "4")
        chunks = litellm.completion(**call, stream=True)
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in chunks), "4")

    def test_curl(self):
        body = json.dumps({"model": "clients", "messages": QUESTION})
        command = ["curl", "-s", BASE + "/v1/chat/completions", "-H", "Authorization: Bearer " + KEY, "-d", body]
        reply = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        self.assertEqual(reply["choices"][0]["message"]["content"], "4")

    def test_the_openapi_document_is_one(self):
        request = urllib.request.Request(BASE + "/openapi.json", headers={"Authorization": "Bearer " + KEY})
        document = json.load(urllib.request.urlopen(request))
        openapi_spec_validator.validate(document, cls=openapi_spec_validator.OpenAPIV31SpecValidator)
        self.assertIn("/v1/chat/completions", document["paths"])


if __name__ == "__main__":
    unittest.main()
