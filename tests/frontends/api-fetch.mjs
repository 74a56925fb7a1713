/**
 * A frontend's API module in the style of fetch wrappers: it sends JSON headers and credentials with each request, looks
 * for application/json before it reads an error, and shows the error's `detail`.
 */
export function createApi(baseUrl, userId, getToken) {
  async function request(path, options = {}) {
    const response = await fetch(`${baseUrl}/api/${userId}/tasks${path}`, {
      ...options,
      credentials: "include",
      headers: {
        Accept: "application/json",
        "Content-Type": "application/json",
        Authorization: `Bearer ${await getToken()}`,
        ...options.headers,
      },
    });
    if (response.status === 204) return null;
    const contentType = response.headers.get("content-type") ?? "";
    const data = contentType.includes("application/json") ? await response.json() : null;
    if (!response.ok) throw new Error(data?.detail || data?.message || `Request failed with status ${response.status}`);
    return data;
  }

  return {
    list: (filters = {}) => request(`?${new URLSearchParams(filters)}`),
    get: (id) => request(`/${id}`),
    create: (task) => request("", { method: "POST", body: JSON.stringify(task) }),
    update: (task) => request(`/${task.id}`, { method: "PUT", body: JSON.stringify(task) }),
    toggle: (id) => request(`/${id}/complete`, { method: "PATCH", body: JSON.stringify({}) }),
    remove: (id) => request(`/${id}`, { method: "DELETE" }),
  };
}
