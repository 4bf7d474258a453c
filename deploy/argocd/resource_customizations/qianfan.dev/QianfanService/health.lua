-- The same text for QianfanJob, QianfanModel and QianfanService.
local status = obj.status or {}
if status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "Waiting for the operator to see the change"}
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is_true(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end

local ready = conditions.Ready
if ready == nil then
  return {status = "Progressing", message = "Waiting for the operator"}
end

local health = "Progressing"
if obj.metadata.deletionTimestamp ~= nil then
  health = "Progressing" -- whatever holds it up; older versions of Argo CD say so themselves, and do not ask
elseif is_true("Stalled") then
  health = "Degraded"
elseif is_true("Ready") then
  health = "Healthy"
elseif ready.reason == "Paused" or ready.reason == "PaymentRequired" then
  health = "Suspended" -- it goes on when a person does something: unpauses it, pays in the console
end
return {status = health, message = ready.message}
