"""Chat logs -> conversations in one strict form, as `--documents chat` reads them.

    turns     messages, names and texts in the strict form, conversations, what was counted
    plain     lines of `Name: text`
    whatsapp  the text exports of WhatsApp, of Android and iOS, in many languages
    exports   JSON and CSV: Telegram, Discord, and messages with roles as OpenAI's
    reader    the beginning of a file -> its form; a file -> its conversations

docs/chat.md describes the forms and the strict form.
"""
