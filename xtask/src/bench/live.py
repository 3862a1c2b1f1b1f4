"""Many calls at once with the official client, as a person would write it.

live.py CALLERS CALLS BASE_URL lets CALLERS tasks make CALLS calls each, one after another, and prints one line of JSON.
"""

import asyncio
import json
import resource
import sys
import time

import httpx
import openai


async def caller(client, number, calls):
    answered = 0
    for call in range(calls):
        try:
            reply = await client.chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": f"two and two, {number} {call}"}],
                temperature=0.7,
                max_tokens=20,
                n=1,
                seed=call,
            )
            answered += reply.choices[0].message.content == "4"
        except openai.OpenAIError:
            pass
    return answered


async def main(callers, calls, url):
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=300, trust_env=False) as http:
        client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http)
        begin = time.monotonic()
        answered = sum(await asyncio.gather(*(caller(client, number, calls) for number in range(callers))))
        seconds = time.monotonic() - begin
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "answered": answered,
                "failed": callers * calls - answered,
                "cpu_seconds": used.ru_utime + used.ru_stime,
                "peak_mb": used.ru_maxrss / 1024,
            }
        )
    )


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
