/** Better Auth: sign up, sign in, sign out, and tokens for the service. */

// Kept until sign-out, so that tasks can be shown without a connection. The token stays in memory.
const USER = "user";
// A sign-out without a connection is completed at the next visit.
const SIGNING_OUT = "signing-out";
let token = null;

export const currentUser = () => JSON.parse(localStorage.getItem(USER));
export const signUp = (account) => post("sign-up/email", account).then(({ user }) => user);
export const signIn = (credentials) => post("sign-in/email", credentials).then(({ user }) => user);

export function rememberUser({ id, name, email }) {
  localStorage.removeItem(SIGNING_OUT);
  localStorage.setItem(USER, JSON.stringify({ id, name, email }));
}

/** Call `listener` when another tab signs in or out. */
export const onOtherUser = (listener) => addEventListener("storage", ({ key }) => key === USER && listener());

export async function signOut() {
  localStorage.removeItem(USER);
  localStorage.setItem(SIGNING_OUT, "yes");
  await completeSignOut();
}

export async function completeSignOut() {
  if (!localStorage.getItem(SIGNING_OUT)) return;
  await post("sign-out", {}).then(() => localStorage.removeItem(SIGNING_OUT), () => {});
}

/** The user's token for the service; null if the session has ended. */
export async function getToken({ renew }) {
  if (renew || !token) {
    const response = await fetch("/api/auth/token");
    if (!response.ok && response.status !== 401) throw new Error("The sign-in service does not answer.");
    token = response.ok ? (await response.json()).token : null;
  }
  return token;
}

async function post(path, body) {
  const json = { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(`/api/auth/${path}`, { method: "POST", ...json }).catch(() => {
    throw new Error("The sign-in service cannot be reached. Try again later.");
  });
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Error(answer?.message ?? `The sign-in service answered with ${response.status}.`);
  return answer;
}
