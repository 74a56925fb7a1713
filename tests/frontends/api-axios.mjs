/**
 * A frontend's API module in the style of axios with interceptors: one adds the token, one gets a new token after a 401
 * and repeats the request, and turns every other error into its `detail`.
 */
import axios from "axios";

export function createApi(baseUrl, _userId, getToken) {
  const http = axios.create({
    baseURL: `${baseUrl}/api/tasks`,
    withCredentials: true,
    headers: { "Content-Type": "application/json" },
  });

  http.interceptors.request.use(async (config) => {
    config.headers.Authorization = `Bearer ${await getToken({ fresh: Boolean(config.isRetry) })}`;
    return config;
  });

  http.interceptors.response.use(
    (response) => response.data,
    (error) => {
      const { config, response } = error;
      if (response?.status === 401 && !config.isRetry) return http({ ...config, isRetry: true });
      throw new Error(response?.data?.detail ?? error.message);
    },
  );

  return {
    list: (filters = {}) => http.get("", { params: filters }),
    get: (id) => http.get(`/${id}`),
    create: (task) => http.post("", task),
    update: (task) => http.put(`/${task.id}`, task),
    toggle: (id) => http.patch(`/${id}/complete`, {}),
    remove: (id) => http.delete(`/${id}`),
  };
}
