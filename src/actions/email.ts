// The plugin `core/email`.
import { definePlugin } from "../sdk/index.ts";
import { sendMail } from "./email/send.ts";

definePlugin({ actions: { send: sendMail } });
